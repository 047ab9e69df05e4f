"""The one place of Zebra's version."""

VERSION = "0.1.0"
