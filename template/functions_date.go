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
	"datetimeadd":       {2, 3, dateTimeAdd},
	"datetimetoepoch":   {1, 1, dateTimeToEpoch},
	"datetimefromepoch": {1, 1, dateTimeFromEpoch},
}

func dateTimeAdd(b *budget, args []any) (any, error) {
	base, err := wantTime(args[0])
	if err != nil {
		return nil, err
	}
	texts, err := wantTexts(args[1:])
	if err != nil {
		return nil, err
	}
	sum, err := addDuration(base, texts[0])
	if err != nil {
		return nil, err
	}
	layout := "u"
	if len(texts) == 2 {
		layout = texts[1]
	}
	return b.formatTime(sum, layout)
}

func dateTimeToEpoch(_ *budget, args []any) (any, error) {
	t, err := wantTime(args[0])
	return t.Unix(), err
}

func dateTimeFromEpoch(_ *budget, args []any) (any, error) {
	n, err := wantInt(args[0])
	if err != nil {
		return nil, err
	}
	t, err := known(time.Unix(n, 0).UTC())
	return t.Format(time.RFC3339), err
}

// known refuses a time that has no form: a year has four digits.
func known(t time.Time) (time.Time, error) {
	if y := t.Year(); y < 1 || y > 9999 {
		return time.Time{}, errors.New("the result is not in the years from 1 to 9999")
	}
	return t, nil
}

func wantTime(v any) (time.Time, error) {
	s, err := wantText(v)
	if err != nil {
		return time.Time{}, err
	}
	if len(s) <= longestQuote {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05Z", "20060102T150405Z", "2006-01-02"} {
			if t, err := time.Parse(layout, s); err == nil {
				return t.UTC(), nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("%s is not a time", quoted(s))
}

// iso8601 is a duration such as P1Y2M3DT4H5M6S, with a sign in front.
var iso8601 = regexp.MustCompile(`^(-)?P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$`)

func addDuration(t time.Time, duration string) (time.Time, error) {
	var m []string
	if len(duration) <= longestQuote {
		m = iso8601.FindStringSubmatch(duration)
	}
	if m == nil {
		return t, fmt.Errorf("%s is not an ISO 8601 duration such as P1DT2H", quoted(duration))
	}
	var n [7]int
	for i := range n {
		if m[i+2] == "" {
			continue
		}
		v, err := strconv.Atoi(m[i+2])
		if err != nil || v > 1_000_000 {
			return t, fmt.Errorf("the duration %s is too long", quoted(duration))
		}
		if n[i] = v; m[1] != "" {
			n[i] = -v
		}
	}
	t = t.AddDate(n[0], n[1], 7*n[2]+n[3])
	return known(t.Add(time.Duration(n[4])*time.Hour + time.Duration(n[5])*time.Minute + time.Duration(n[6])*time.Second))
}

// longestTime bounds a format of a time.
const longestTime = 1000

// formatTime applies the .NET formats that templates use.
func (b *budget) formatTime(t time.Time, layout string) (string, error) {
	if len(layout) > longestTime {
		return "", fmt.Errorf("a format of a time has at most %d characters", longestTime)
	}
	if err := b.allot(4 * len(layout)); err != nil {
		return "", err
	}
	switch layout {
	case "u":
		return t.Format("2006-01-02 15:04:05Z"), nil
	case "o", "O":
		return t.Format("2006-01-02T15:04:05.0000000Z"), nil
	case "s":
		return t.Format("2006-01-02T15:04:05"), nil
	case "d":
		return t.Format("01/02/2006"), nil
	case "R", "r":
		return t.Format(time.RFC1123), nil
	}
	return t.Format(strings.NewReplacer(
		"yyyy", "2006", "yy", "06", "MMMM", "January", "MMM", "Jan", "MM", "01", "M", "1", "dddd", "Monday", "ddd", "Mon", "dd", "02", "d", "2",
		"HH", "15", "hh", "03", "mm", "04", "ss", "05", "tt", "PM", "fffffff", "0000000", "zzz", "-07:00",
	).Replace(layout)), nil
}
