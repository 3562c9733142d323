package filter

import (
	"bytes"
	"cmp"
	"math"
	"strconv"
)

type numberKind uint8

const (
	double  numberKind = iota // has a fraction or an exponent
	integer                   // fits an int64
	huge                      // an integer beyond int64, compared by its digits
)

// number is a JSON number. A number is an integer when it is written without
// exponent and its fraction, if any, is zero: 5 and 5.0, not 5e0.
type number struct {
	kind     numberKind
	negative bool    // of a huge one
	int      int64   // of an integer
	float    float64 // of every number: the nearest double, infinite beyond its range
	digits   []byte  // of a huge one, without sign; part of the text that was parsed
}

// powers are the powers of ten that a double holds exactly.
var powers = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// parseNumber reads a valid JSON number. The result refers to raw when the
// number is a huge integer. It allocates only for numbers of more than 15
// significant digits or extreme exponents.
func parseNumber(raw []byte) number {
	i, negative := 0, false
	if i < len(raw) && raw[i] == '-' {
		negative = true
		i++
	}
	start := i
	var mantissa uint64
	fits := true // mantissa holds all digits
	digit := func(c byte) {
		d := uint64(c - '0')
		if mantissa > (math.MaxUint64-d)/10 {
			fits = false
			return
		}
		mantissa = mantissa*10 + d
	}
	for ; i < len(raw) && isDigit(raw[i]); i++ {
		digit(raw[i])
	}
	digits := raw[start:i]
	whole, wholeFits := mantissa, fits
	scale, fraction := 0, false
	if i < len(raw) && raw[i] == '.' {
		for i++; i < len(raw) && isDigit(raw[i]); i++ {
			digit(raw[i])
			scale--
			fraction = fraction || raw[i] != '0'
		}
	}
	exponent := i < len(raw)
	if !exponent && !fraction {
		switch {
		case wholeFits && negative && whole <= -math.MinInt64:
			n := -int64(whole)
			return number{kind: integer, int: n, float: float64(n)}
		case wholeFits && !negative && whole <= math.MaxInt64:
			return number{kind: integer, int: int64(whole), float: float64(whole)}
		}
		return number{kind: huge, negative: negative, float: parseDouble(raw), digits: digits}
	}
	if exponent {
		e, err := strconv.Atoi(string(raw[i+1:]))
		if err != nil { // Beyond int: infinite or zero, ParseFloat knows which.
			return number{float: parseDouble(raw)}
		}
		scale += e
	}
	// Both the mantissa and the power are exact doubles, so that one division
	// or multiplication rounds once, as IEEE demands.
	if fits && mantissa < 1<<53 && -len(powers) < scale && scale < len(powers) {
		f := float64(mantissa)
		if scale < 0 {
			f /= powers[-scale]
		} else {
			f *= powers[scale]
		}
		if negative {
			f = -f
		}
		return number{float: f}
	}
	return number{float: parseDouble(raw)}
}

// parseDouble returns the nearest double, or an infinity.
func parseDouble(raw []byte) float64 {
	f, _ := strconv.ParseFloat(string(raw), 64) // The text is valid; ErrRange comes with the infinity we want.
	return f
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// compare returns -1, 0 or 1: exactly when both are integers, else as doubles.
func (n *number) compare(m *number) int {
	switch {
	case n.kind == double || m.kind == double:
		return cmp.Compare(n.float, m.float)
	case n.kind == integer && m.kind == integer:
		return cmp.Compare(n.int, m.int)
	case n.kind == integer: // Beyond int64 only the sign of m counts.
		return -m.sign()
	case m.kind == integer || n.negative != m.negative:
		return n.sign()
	}
	c := cmp.Compare(len(n.digits), len(m.digits))
	if c == 0 {
		c = bytes.Compare(n.digits, m.digits)
	}
	return c * n.sign()
}

// sign is that of a huge number.
func (n *number) sign() int {
	if n.negative {
		return -1
	}
	return 1
}

// appendCanonical appends the text that CloudEvents attributes with this value
// have in string form: digits for an integer, else the shortest decimal.
func (n *number) appendCanonical(dst []byte) []byte {
	switch n.kind {
	case integer:
		return strconv.AppendInt(dst, n.int, 10)
	case huge:
		if n.negative {
			dst = append(dst, '-')
		}
		return append(dst, n.digits...)
	}
	if a := math.Abs(n.float); a == 0 {
		return append(dst, '0')
	} else if a >= 1e21 || a < 1e-6 {
		return strconv.AppendFloat(dst, n.float, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, n.float, 'f', -1, 64)
}

// appendDouble appends the number so that a reader takes it for a double and
// parseNumber reads the same number again.
func (n number) appendDouble(dst []byte) []byte {
	if n.kind != double {
		return append(n.appendCanonical(dst), ".0"...)
	}
	a := math.Abs(n.float)
	switch {
	case math.IsInf(a, 0): // Compile refuses it; keep the JSON valid until then.
		return strconv.AppendFloat(dst, math.Copysign(math.MaxFloat64, n.float), 'e', -1, 64)
	case a == math.Trunc(a) && a < 1<<53:
		return append(strconv.AppendInt(dst, int64(n.float), 10), ".0"...)
	case a < 1e-5 || a >= 1e15:
		return strconv.AppendFloat(dst, n.float, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, n.float, 'f', -1, 64)
}
