//! Poros killed between any two writes of a build, an edit and a delete: the end is the same.

use crate::trials;

trials![];
