"""The command line: `creditmesh`."""
