"""The product's password hasher with the fewest rounds that bcrypt has."""

from django.contrib.auth.hashers import BCryptSHA256PasswordHasher


class QuickBCryptSHA256PasswordHasher(BCryptSHA256PasswordHasher):
    rounds = 4
