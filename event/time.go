package event

import (
	"errors"
	"time"
)

var (
	errTime     = errors.New("it is not an RFC 3339 time with a zone, such as 2024-05-01T12:00:00Z")
	errGridTime = errors.New("it is not an RFC 3339 time, such as 2024-05-01T12:00:00Z")
)

// timeLayout is how Event Grid writes times.
const timeLayout = "2006-01-02T15:04:05.0000000Z"

// now is the eventTime of an event that has none.
func (g *gridReader) now() time.Time {
	if g.received.IsZero() {
		g.received = time.Now() // one request, one time
	}
	return g.received.UTC()
}

// checkTime accepts RFC 3339 date-times, leap seconds and any number of
// fraction digits included. Neither a missing zone nor an offset without a
// colon passes, for the receiver's parser would fail on them.
func checkTime(s []byte) error {
	if zone, ok := cutDateTime(s); !ok || !isZone(zone) {
		return errTime
	}
	return nil
}

// cutDateTime returns what is behind the date, the time of day and the fraction
// of a second that s begins with.
func cutDateTime(s []byte) (zone []byte, ok bool) {
	const layout = "0000-00-00T00:00:00"
	if len(s) < len(layout) {
		return nil, false
	}
	for i, c := range []byte(layout) {
		switch {
		case c == '0' && isDigit(s[i]), c == s[i], c == 'T' && s[i] == 't':
		default:
			return nil, false
		}
	}
	year, month, day := 100*two(s)+two(s[2:]), two(s[5:]), two(s[8:])
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		two(s[11:]) > 23 || two(s[14:]) > 59 || two(s[17:]) > 60 {
		return nil, false
	}
	s = s[len(layout):]
	if len(s) == 0 || s[0] != '.' {
		return s, true
	}
	n := 1
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return s[n:], n > 1
}

func lacksZone(s []byte) bool {
	zone, ok := cutDateTime(s)
	return ok && len(zone) == 0
}

func isZone(s []byte) bool {
	return len(s) == 1 && s[0]|0x20 == 'z' ||
		len(s) == 6 && (s[0] == '+' || s[0] == '-') && s[3] == ':' &&
			isDigit(s[1]) && isDigit(s[2]) && isDigit(s[4]) && isDigit(s[5]) && two(s[1:]) <= 23 && two(s[4:]) <= 59
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// two reads two digits.
func two(s []byte) int { return int(s[0]-'0')*10 + int(s[1]-'0') }

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// appendTime appends s to dst in the form that RFC 3339 parsers read, the same
// moment with the same digits. The Event Grid schema takes more forms than
// CloudEvents do: a blank for the T, lower-case letters, an offset without its
// colon (as date +%z writes it) or without minutes, no zone at all (which stays
// so), and up to nine fraction digits. Without ok dst holds no time.
func appendTime(dst, s []byte) (_ []byte, ok bool) {
	const seconds, most = len("0000-00-00T00:00:00"), 9
	if len(s) < seconds || len(s) > seconds+len(".000000000+00:00") {
		return dst, false
	}
	at := len(dst)
	dst = append(dst, s[:seconds]...)
	if c := &dst[at+len("0000-00-00")]; *c == ' ' || *c == 't' {
		*c = 'T'
	}
	zone := s[seconds:]
	if len(zone) > 0 && zone[0] == '.' {
		n := 1
		for n < len(zone) && isDigit(zone[n]) {
			n++
		}
		if n > 1+most {
			return dst, false
		}
		dst, zone = append(dst, zone[:n]...), zone[n:]
	}
	switch {
	case len(zone) == len("z") && zone[0] == 'z':
		dst = append(dst, 'Z')
	case len(zone) == len("+00"):
		dst = append(append(dst, zone...), ":00"...)
	case len(zone) == len("+0000"):
		dst = append(append(append(dst, zone[:3]...), ':'), zone[3:]...)
	default:
		dst = append(dst, zone...)
	}
	zone, ok = cutDateTime(dst[at:])
	return dst, ok && (len(zone) == 0 || isZone(zone))
}
