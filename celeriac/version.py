"""The version of Celeriac, for all layers: the package itself imports the client, which is above most of them."""

VERSION = "0.1.0"
