"""Mutual information in nats, by a Gaussian copula with a permutation null, or by nearest neighbours."""
