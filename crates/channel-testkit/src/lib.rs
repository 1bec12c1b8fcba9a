//! Conformance suite, fake transports and a virtual clock for channels
