"""Diagnosis of one run: stored run -> evidence -> rules -> findings -> explanations and recommendations."""
