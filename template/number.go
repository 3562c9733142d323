package template

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

// decimal is a number as it is written: ±0.digits·10^point, with neither a zero
// in front of the digits nor behind them. As a double it would lose digits beyond
// 2^53, and different numbers would be equal.
type decimal struct {
	negative bool
	digits   string // "" for 0
	point    int64
}

// decimalOf returns a number exactly; false for what is none.
func decimalOf(v any) (decimal, bool) {
	switch v := v.(type) {
	case int64:
		return parseDecimal(strconv.FormatInt(v, 10))
	case json.Number:
		return parseDecimal(v.String())
	}
	return decimal{}, false
}

func parseDecimal(s string) (decimal, bool) {
	if !validJSON(s) || s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return decimal{}, false
	}
	var d decimal
	s, d.negative = strings.CutPrefix(s, "-")
	mantissa, exponent := s, ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], s[i+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.digits, d.point = whole+fraction, int64(len(whole))
	if exponent != "" {
		// One that no int64 holds is far beyond any use: then its bound stands for it.
		e, err := strconv.ParseInt(exponent, 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return decimal{}, false
		}
		d.point += min(max(e, math.MinInt64/4), math.MaxInt64/4)
	}
	significant := strings.TrimLeft(d.digits, "0")
	d.point -= int64(len(d.digits) - len(significant))
	if d.digits = strings.TrimRight(significant, "0"); d.digits == "" {
		return decimal{}, true
	}
	return d, true
}

// String is the same for equal numbers.
func (d decimal) String() string {
	sign := ""
	if d.negative {
		sign = "-"
	}
	return sign + d.digits + "e" + strconv.FormatInt(d.point, 10)
}

// sign is -1, 0 or 1.
func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}

func (d decimal) compare(e decimal) int {
	if c := cmp.Compare(d.sign(), e.sign()); c != 0 || d.digits == "" {
		return c
	}
	c := cmp.Compare(d.point, e.point)
	if c == 0 {
		c = strings.Compare(d.digits, e.digits)
	}
	return c * d.sign()
}

// compareNumbers orders two numbers by their values; false when one is none.
func compareNumbers(x, y any) (int, bool) {
	if a, ok := x.(int64); ok {
		if b, ok := y.(int64); ok {
			return cmp.Compare(a, b), true
		}
	}
	a, aok := decimalOf(x)
	b, bok := decimalOf(y)
	if !aok || !bok {
		return 0, false
	}
	return a.compare(b), true
}

var (
	errDivision = errors.New("division by zero")
	errOverflow = errors.New("the result is beyond the whole numbers from -9223372036854775808 to 9223372036854775807")
)

// The arithmetic of whole numbers; what does not fit is an error, not another
// number.

func add(a, b int64) (int64, error) {
	sum := a + b
	if (sum > a) != (b > 0) && b != 0 {
		return 0, errOverflow
	}
	return sum, nil
}

func sub(a, b int64) (int64, error) {
	difference := a - b
	if (difference < a) != (b > 0) && b != 0 {
		return 0, errOverflow
	}
	return difference, nil
}

func mul(a, b int64) (int64, error) {
	product := a * b
	if a != 0 && (product/a != b || a == -1 && b == math.MinInt64) {
		return 0, errOverflow
	}
	return product, nil
}

func div(a, b int64) (int64, error) {
	switch {
	case b == 0:
		return 0, errDivision
	case a == math.MinInt64 && b == -1:
		return 0, errOverflow
	}
	return a / b, nil
}

func mod(a, b int64) (int64, error) {
	if b == 0 {
		return 0, errDivision
	}
	return a % b, nil
}
