"""creditmesh: small services over a credit lake, its replica and its warehouse."""
