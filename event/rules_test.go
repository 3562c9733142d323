package event

import (
	"strings"
	"testing"
	"time"
)

func TestCheckTime(t *testing.T) {
	for s, ok := range map[string]bool{
		"2024-05-01T12:00:00Z":             true,
		"2024-05-01t12:00:00z":             true,
		"2024-05-01T12:00:00.1Z":           true,
		"2024-05-01T12:00:00.1234567Z":     true,
		"2024-05-01T12:00:00.123456789Z":   true,
		"2024-05-01T12:00:00.1234567890Z":  true,
		"2024-05-01T12:00:00+05:30":        true,
		"2024-05-01T12:00:00.5-08:00":      true,
		"2016-12-31T23:59:60Z":             true,
		"2024-02-29T00:00:00Z":             true,
		"2000-02-29T00:00:00Z":             true,
		"2023-02-29T00:00:00Z":             false,
		"1900-02-29T00:00:00Z":             false,
		"2024-04-31T00:00:00Z":             false,
		"2024-13-01T00:00:00Z":             false,
		"2024-00-01T00:00:00Z":             false,
		"2024-01-00T00:00:00Z":             false,
		"2024-01-01T24:00:00Z":             false,
		"2024-01-01T00:60:00Z":             false,
		"2024-01-01T00:00:61Z":             false,
		"2024-05-01T12:00:00":              false,
		"2024-05-01T12:00:00.":             false,
		"2024-05-01T12:00:00.Z":            false,
		"2024-05-01T12:00:00,5Z":           false,
		"2024-05-01T12:00:00+0000":         false,
		"2024-05-01T12:00:00+00":           false,
		"2024-05-01T12:00:00+24:00":        false,
		"2024-05-01T12:00:00+00:60":        false,
		"2024-05-01 12:00:00Z":             false,
		"2024-05-01":                       false,
		"":                                 false,
		"2024-05-01T12:00:00ZZ":            false,
		"2024-5-1T12:00:00Z":               false,
		"2024-05-01T0:00:00Z":              false,
		"Wed, 01 May 2024 12:00:00 GMT   ": false,
	} {
		if err := checkTime([]byte(s)); (err == nil) != ok {
			t.Errorf("checkTime(%q) = %v, want accepted: %v", s, err, ok)
		}
	}
}

// Whatever the standard library reads as RFC 3339, checkTime accepts, but for
// the library's known leniency: hours of one digit, a comma before the fraction
// and offsets out of range. What checkTime accepts beyond the library is a leap
// second or a lower-case letter.
func FuzzCheckTime(f *testing.F) {
	for _, s := range []string{"2024-05-01T12:00:00Z", "2024-05-01T12:00:00.5+05:30", "2016-12-31T23:59:60Z", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var lib time.Time
		libErr := lib.UnmarshalText([]byte(s))
		err := checkTime([]byte(s))
		lenient := strings.Contains(s, ",") || len(s) > 12 && s[12] == ':' || offsetOutOfRange(s)
		if libErr == nil && err != nil && !lenient {
			t.Errorf("%q: refused, the library reads %v", s, lib)
		}
		if err == nil && libErr != nil && s[17:19] != "60" && s[10] != 't' && s[len(s)-1] != 'z' {
			t.Errorf("%q: accepted, the library says %v", s, libErr)
		}
	})
}

// offsetOutOfRange looks at the last digits of a time with an offset.
func offsetOutOfRange(s string) bool {
	if len(s) < 6 || strings.HasSuffix(s, "Z") {
		return false
	}
	return s[len(s)-5:len(s)-3] > "23" || s[len(s)-2:] > "59"
}
