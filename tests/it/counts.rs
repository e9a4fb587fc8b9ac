//! What a Compute costs the API server, counted in its audit log.

use crate::trials;

trials![];
