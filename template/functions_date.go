package template

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var dateFunctions = map[string]function{
	"datetimeadd": {2, 3, func(args []any) (any, error) {
		base, err := wantTime(args[0])
		if err != nil {
			return nil, err
		}
		duration, err := wantText(args[1])
		if err != nil {
			return nil, err
		}
		sum, err := addDuration(base, duration)
		if err != nil {
			return nil, err
		}
		layout := "u"
		if len(args) == 3 {
			if layout, err = wantText(args[2]); err != nil {
				return nil, err
			}
		}
		return formatTime(sum, layout), nil
	}},
	"datetimetoepoch": {1, 1, func(args []any) (any, error) {
		t, err := wantTime(args[0])
		return t.Unix(), err
	}},
	"datetimefromepoch": {1, 1, func(args []any) (any, error) {
		n, err := wantInt(args[0])
		return time.Unix(n, 0).UTC().Format(time.RFC3339), err
	}},
}

func wantTime(v any) (time.Time, error) {
	s, err := wantText(v)
	if err != nil {
		return time.Time{}, err
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05Z", "20060102T150405Z", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("'%s' is not a time", s)
}

// iso8601 is a duration such as P1Y2M3DT4H5M6S, with a sign in front.
var iso8601 = regexp.MustCompile(`^(-)?P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$`)

func addDuration(t time.Time, duration string) (time.Time, error) {
	m := iso8601.FindStringSubmatch(duration)
	if m == nil {
		return t, errors.New("'" + duration + "' is not an ISO 8601 duration such as P1DT2H")
	}
	var n [7]int
	for i := range n {
		if m[i+2] == "" {
			continue
		}
		v, err := strconv.Atoi(m[i+2])
		if err != nil || v > 1_000_000 {
			return t, errors.New("the duration '" + duration + "' is too long")
		}
		if n[i] = v; m[1] != "" {
			n[i] = -v
		}
	}
	t = t.AddDate(n[0], n[1], 7*n[2]+n[3])
	return t.Add(time.Duration(n[4])*time.Hour + time.Duration(n[5])*time.Minute + time.Duration(n[6])*time.Second), nil
}

// formatTime applies the .NET formats that templates use.
func formatTime(t time.Time, layout string) string {
	switch layout {
	case "u":
		return t.Format("2006-01-02 15:04:05Z")
	case "o", "O":
		return t.Format("2006-01-02T15:04:05.0000000Z")
	case "s":
		return t.Format("2006-01-02T15:04:05")
	case "d":
		return t.Format("01/02/2006")
	case "R", "r":
		return t.Format(time.RFC1123)
	}
	return t.Format(strings.NewReplacer(
		"yyyy", "2006", "yy", "06", "MMMM", "January", "MMM", "Jan", "MM", "01", "M", "1", "dddd", "Monday", "ddd", "Mon", "dd", "02", "d", "2",
		"HH", "15", "hh", "03", "mm", "04", "ss", "05", "tt", "PM", "fffffff", "0000000", "zzz", "-07:00",
	).Replace(layout))
}
