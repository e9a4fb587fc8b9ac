//! Sums of Kubernetes quantities (`resource.Quantity`), exactly, in thousandths.

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// What Kubernetes holds every quantity below, in thousandths: sums of them cannot overflow.
const MOST: i128 = i64::MAX as i128 * 1000;

/// A sum of quantities of one resource. What was added can be taken off again, exactly.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    thousandths: i128,
    /// How many of the quantities have a binary suffix: one is enough for the sum to be printed with one.
    binary: u32,
    /// How many quantities there are.
    terms: u32,
}

impl Sum {
    /// One quantity. One that cannot be read counts as nothing, as of a node that offers none of it.
    pub fn of(quantity: &str) -> Self {
        let (thousandths, binary) = parse(quantity).unwrap_or_default();
        Self { thousandths: thousandths.clamp(-MOST, MOST), binary: u32::from(binary), terms: 1 }
    }

    /// Adds a quantity.
    pub fn add(&mut self, quantity: &str) {
        self.join(&Self::of(quantity));
    }

    /// Adds another sum.
    pub fn join(&mut self, other: &Self) {
        self.thousandths = self.thousandths.saturating_add(other.thousandths);
        self.binary = self.binary.saturating_add(other.binary);
        self.terms = self.terms.saturating_add(other.terms);
    }

    /// Takes off another sum that was added before.
    pub fn leave(&mut self, other: &Self) {
        self.thousandths = self.thousandths.saturating_sub(other.thousandths);
        self.binary = self.binary.saturating_sub(other.binary);
        self.terms = self.terms.saturating_sub(other.terms);
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        sum.join(other);
        sum
    }

    /// What is left of it without the other: at least nothing.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let thousandths = self.thousandths.saturating_sub(other.thousandths).max(0);
        Self { thousandths, binary: self.binary.saturating_add(other.binary), terms: 1 }
    }

    /// Whether it is more.
    pub fn exceeds(&self, other: &Self) -> bool {
        self.thousandths > other.thousandths
    }

    /// Whether it is a sum of no quantity at all.
    pub fn is_empty(&self) -> bool {
        self.terms == 0
    }
}

impl<'de> Deserialize<'de> for Sum {
    /// One quantity: a string, or the number that YAML makes of one.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Quantity)
    }
}

struct Quantity;

impl Visitor<'_> for Quantity {
    type Value = Sum;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a quantity, such as 500m or 2Gi")
    }

    fn visit_str<E: Error>(self, quantity: &str) -> Result<Sum, E> {
        Ok(Sum::of(quantity))
    }

    fn visit_u64<E: Error>(self, quantity: u64) -> Result<Sum, E> {
        Ok(Sum::of(&quantity.to_string()))
    }

    fn visit_i64<E: Error>(self, quantity: i64) -> Result<Sum, E> {
        Ok(Sum::of(&quantity.to_string()))
    }

    fn visit_f64<E: Error>(self, quantity: f64) -> Result<Sum, E> {
        Ok(Sum::of(&quantity.to_string()))
    }
}

impl PartialEq for Sum {
    /// By what is printed of it, not by how many quantities it came from.
    fn eq(&self, other: &Self) -> bool {
        self.thousandths == other.thousandths && (self.binary > 0) == (other.binary > 0)
    }
}

impl Eq for Sum {}

impl std::fmt::Display for Sum {
    /// The canonical form: the largest suffix that leaves a whole number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.thousandths % 1000 != 0 {
            return write!(f, "{}m", self.thousandths);
        }
        let whole = self.thousandths / 1000;
        let (base, suffixes): (i128, &[&str]) = if self.binary > 0 {
            (1024, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])
        } else {
            (1000, &["", "k", "M", "G", "T", "P", "E"])
        };
        let (mut value, mut power) = (whole, 0);
        while value != 0 && value % base == 0 && power + 1 < suffixes.len() {
            value /= base;
            power += 1;
        }
        write!(f, "{value}{}", suffixes[power])
    }
}

/// Thousandths, and whether the suffix was binary. Amounts below a thousandth round up, as in Kubernetes.
fn parse(text: &str) -> Option<(i128, bool)> {
    let split =
        text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '+' || c == '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (mantissa, decimals) = decimal(number)?;
    let (numerator, denominator, binary): (i128, i128, bool) = match suffix {
        "n" => (1, 1_000_000, false),
        "u" => (1, 1_000, false),
        "m" => (1, 1, false),
        "" => (1_000, 1, false),
        "k" => (1_000_000, 1, false),
        "M" => (10i128.pow(9), 1, false),
        "G" => (10i128.pow(12), 1, false),
        "T" => (10i128.pow(15), 1, false),
        "P" => (10i128.pow(18), 1, false),
        "E" => (10i128.pow(21), 1, false),
        "Ki" => (1_000 << 10, 1, true),
        "Mi" => (1_000 << 20, 1, true),
        "Gi" => (1_000 << 30, 1, true),
        "Ti" => (1_000 << 40, 1, true),
        "Pi" => (1_000 << 50, 1, true),
        "Ei" => (1_000 << 60, 1, true),
        _ => {
            let exponent: i32 =
                suffix.strip_prefix(['e', 'E'])?.parse().ok().filter(|e: &i32| e.abs() <= 18)?;
            let power = 10i128.pow(exponent.unsigned_abs());
            if exponent < 0 { (1_000, power, false) } else { (1_000 * power, 1, false) }
        }
    };
    let numerator = mantissa.checked_mul(numerator)?;
    let denominator = denominator.checked_mul(10i128.checked_pow(decimals)?)?;
    Some(((numerator.checked_add(denominator - 1)?).div_euclid(denominator), binary))
}

/// A decimal number as mantissa and number of decimals.
fn decimal(text: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 18 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    Some((digits.parse().ok()?, u32::try_from(fraction.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(quantities: &[&str], expect: &str) {
        let mut sum = Sum::default();
        for quantity in quantities {
            sum.add(quantity);
        }
        assert_eq!(sum.to_string(), expect, "{quantities:?}");
    }

    #[test]
    fn sums_are_exact_and_printed_as_kubernetes_does() {
        check(&[], "0");
        check(&["4", "8"], "12");
        check(&["1500m", "500m"], "2");
        check(&["100m", "1"], "1100m");
        check(&["16Gi", "16Gi"], "32Gi");
        check(&["1Gi", "512Mi"], "1536Mi");
        check(&["16307652Ki"], "16307652Ki");
        check(&["1k", "1M"], "1001k");
        check(&["0.5", ".5"], "1");
        check(&["1e3", "1E3"], "2k");
        check(&["0.0000001n"], "1m");
        check(&["110", "nonsense", "1e1000", "--1"], "110");
        check(&["4Ei", "2Ei"], "6Ei");
        check(&["16Ei"], "9223372036854775807");
        check(&["1Ei"; 16], "16Ei");
        check(&["-0", "+5", "5.", "0.5", "-.5"], "10");
        check(&[".", "+", "-", "e", "1e", "1e+", "E3", "1EE", "1KiB", "0x10", "NaN", "\u{661}", ""], "0");
        check(&["9223372036854775807", "1"], "9223372036854775808");
        check(&["1e18", "1e-18"], "1000000000000000000001m");
        let long = "9".repeat(60);
        check(&[&long, "7"], "7");
    }

    #[test]
    fn quantities_are_read_as_yaml_has_them() {
        let read = |json: &str| serde_json::from_str::<Sum>(json).map(|sum| sum.to_string());
        for (json, expect) in [("\"500m\"", "500m"), ("2", "2"), ("-1", "-1"), ("0.5", "500m"), ("1e3", "1k")]
        {
            assert_eq!(read(json).unwrap(), expect, "{json}");
        }
        assert!(read("true").unwrap_err().to_string().contains("expected a quantity"));
    }

    #[test]
    fn what_was_added_is_taken_off_exactly() {
        let mut sum = Sum::default();
        for quantity in ["1500m", "2Gi", "nonsense", "7"] {
            sum.add(quantity);
        }
        for quantity in ["2Gi", "7", "nonsense"] {
            sum.leave(&Sum::of(quantity));
        }
        assert_eq!(sum.to_string(), "1500m", "and no binary suffix is left over");
        sum.leave(&Sum::of("1500m"));
        assert!(sum.is_empty());
        assert_eq!(Sum::of("4").without(&Sum::of("1500m")).to_string(), "2500m");
        assert_eq!(Sum::of("1Gi").without(&Sum::of("2Gi")).to_string(), "0");
    }

    #[test]
    fn sums_that_no_number_holds_end_at_the_largest() {
        let mut sum = Sum::default();
        for _ in 0..64 {
            sum.add("100000000000000000000000000000000000");
            sum.add("99999999999999999E");
        }
        assert!(!sum.to_string().is_empty());
    }
}
