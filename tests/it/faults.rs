//! Faults that must not hurt: of the API server, of the network, of other writers.

use crate::trials;

trials![];
