package resource

import (
	"encoding/json"
	"strings"
	"time"
)

// Time is a point in time as Azure's bodies write it: UTC, up to seven fraction
// digits, suffix Z. Any RFC 3339 time is read.
type Time time.Time

const timeLayout = "2006-01-02T15:04:05.9999999Z"

// MarshalJSON implements [json.Marshaler].
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + time.Time(t).UTC().Format(timeLayout) + `"`), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Time) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return Errorf(InvalidRequestContent, "A time must be a JSON string, not %s.", data)
	}
	if v, err := time.Parse(time.RFC3339Nano, s); err == nil {
		v = v.UTC()
		// The zone can carry the time out of the four-digit years; written back,
		// it could never be read again.
		if v.Year() < 0 || v.Year() > 9999 {
			return Errorf(InvalidRequestContent, "'%s' lies outside of the years 0 to 9999 in UTC.", s)
		}
		*t = Time(v)
		return nil
	}
	// Clients also leave the zone out, meaning UTC.
	v, err := time.Parse("2006-01-02T15:04:05", s)
	if err != nil {
		return Errorf(InvalidRequestContent, "'%s' is not a time; write it like 2026-03-01T08:00:00Z.", s)
	}
	*t = Time(v)
	return nil
}

// Same reports whether t and u are the same time as clients see it: what they
// send back has lost the digits that are not written.
func (t Time) Same(u Time) bool {
	const written = 100 * time.Nanosecond
	return t.Std().Truncate(written).Equal(u.Std().Truncate(written))
}

// Std returns t as a [time.Time].
func (t Time) Std() time.Time { return time.Time(t) }

// ParseEnum sets *v to the canonical spelling of a JSON string, comparing
// without regard to case as Azure does. JSON null leaves *v as it is.
func ParseEnum[S ~string](data []byte, v *S, allowed ...S) error {
	if string(data) == "null" {
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return Errorf(InvalidRequestContent, "%s is not a JSON string.", data)
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		if strings.EqualFold(string(a), s) {
			*v = a
			return nil
		}
		names[i] = string(a)
	}
	return Invalid("'%s' is not one of the allowed values: %s.", s, strings.Join(names, ", "))
}

// NormalLocation turns a region as people write it ("West Europe") into the
// form that ids and endpoints use ("westeurope").
func NormalLocation(s string) string {
	return strings.ToLower(strings.ReplaceAll(s, " ", ""))
}

// List is a JSON array that a PATCH replaces as a whole. A plain slice would be
// decoded over the elements it had before.
type List[T any] []T

// UnmarshalJSON implements [json.Unmarshaler].
func (l *List[T]) UnmarshalJSON(data []byte) error {
	var fresh []T
	if err := json.Unmarshal(data, &fresh); err != nil {
		return err
	}
	*l = fresh
	return nil
}
