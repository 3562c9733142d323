package event

import (
	"strings"
	"testing"
	"time"
)

// noon is when the requests of tests arrive.
var noon = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

func TestAppendTime(t *testing.T) {
	for s, want := range map[string]string{
		"2024-05-01T12:00:00Z":                "2024-05-01T12:00:00Z",
		"2024-05-01t12:00:00z":                "2024-05-01T12:00:00Z",
		"2024-05-01 12:00:00Z":                "2024-05-01T12:00:00Z",
		"2024-05-01 12:00:00+01":              "2024-05-01T12:00:00+01:00",
		"2024-05-01T12:00:00+0000":            "2024-05-01T12:00:00+00:00",
		"2024-05-01T12:00:00-0330":            "2024-05-01T12:00:00-03:30",
		"2024-05-01T12:00:00-08":              "2024-05-01T12:00:00-08:00",
		"2024-05-01T12:00:00+05:30":           "2024-05-01T12:00:00+05:30",
		"2024-05-01T12:00:00.1Z":              "2024-05-01T12:00:00.1Z",
		"2024-05-01T12:00:00.123456789+0100":  "2024-05-01T12:00:00.123456789+01:00",
		"2024-05-01T12:00:00.123456789-01:00": "2024-05-01T12:00:00.123456789-01:00",
		"2016-12-31T23:59:60Z":                "2016-12-31T23:59:60Z",
		"2024-05-01T12:00:00.1234567890Z":     "",
		"2024-05-01T12:00:00.Z":               "",
		"2024-05-01T12:00:00":                 "2024-05-01T12:00:00",
		"2024-05-01T12:00:00.5":               "2024-05-01T12:00:00.5",
		"2024-05-01 12:00:00.123456789":       "2024-05-01T12:00:00.123456789",
		"2024-05-01T12:00:00.":                "",
		"2024-05-01T24:00:00":                 "",
		"2024-05-01T12:00":                    "",
		"2024-05-01T12:00Z":                   "",
		"2024-05-01":                          "",
		"":                                    "",
		"2024-05-01T12:00:00 +0000":           "",
		"2024-05-01T12:00:00+1":               "",
		"2024-05-01T12:00:00+24":              "",
		"2024-05-01T12:00:00+0060":            "",
		"2024-05-01T12:00:00+00:0":            "",
		"2024-05-01_12:00:00Z":                "",
		"2024-02-30T12:00:00Z":                "",
		"2024-05-01T12:00:00zz":               "",
		"2024-05-01T12:00:00X05":              "",
		"1714564800":                          "",
	} {
		b, ok := appendTime([]byte("x"), []byte(s))
		if ok != (want != "") || ok && string(b) != "x"+want {
			t.Errorf("appendTime(%q) = %q, %v, want %q", s, b, ok, want)
		}
	}
}

// What is accepted comes out in the form that the standard library reads, and
// a second pass changes nothing. What the library reads by a layout of the
// looser forms is the same moment.
func FuzzAppendTime(f *testing.F) {
	for _, s := range []string{"2024-05-01T12:00:00Z", "2024-05-01 12:00:00.5+0530", "2024-05-01t12:00:00-08", "2016-12-31T23:59:60z", "2024-05-01 12:00:00", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, ok := appendTime(nil, []byte(s))
		if !ok {
			_, fraction, _ := strings.Cut(s, ".")
			if checkTime([]byte(s)) == nil && strings.IndexFunc(fraction, func(r rune) bool { return r < '0' || r > '9' }) <= 9 {
				t.Errorf("%q is refused, but RFC 3339 has it", s)
			}
			return
		}
		again, ok := appendTime(nil, out)
		if !ok || string(again) != string(out) {
			t.Errorf("%q becomes %q, and then %q, %v", s, out, again, ok)
		}
		if s[17:19] == "60" { // a leap second, which the library does not know
			return
		}
		layout := time.RFC3339Nano
		if zone, _ := cutDateTime(out); len(zone) == 0 {
			layout = "2006-01-02T15:04:05"
		}
		moment, err := time.Parse(layout, string(out))
		if err != nil {
			t.Fatalf("%q becomes %q: %v", s, out, err)
		}
		for _, layout := range []string{"2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02 15:04:05Z0700", "2006-01-02 15:04:05Z07"} {
			if loose, err := time.Parse(layout, s); err == nil && !loose.Equal(moment) {
				t.Errorf("%q becomes %v, the library reads %v", s, moment, loose)
			}
		}
	})
}
