"""Mutual information in nats: Gaussian copula, nearest neighbours, and the null that corrects their bias."""
