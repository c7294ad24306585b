"""The commands of `creditmesh`, by what people do."""
