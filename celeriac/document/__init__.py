"""CWL source -> validated, resolved document, kept by content hash. All loading by cwltool is here."""
