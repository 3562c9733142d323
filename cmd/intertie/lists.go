package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// names are a list in any of the ways in which settings hold one: a flag that may be
// repeated, with commas between or not; a variable; a list or one text in the file.
// Blanks around a name do not count.
type names []string

// Decode reads one flag, the environment variable, or the file's value.
func (n *names) Decode(ctx *kong.DecodeContext) error {
	items, err := listed(ctx)
	*n = append(*n, items...)
	return err
}

// durations are a list likewise.
type durations []time.Duration

// Decode reads one flag, the environment variable, or the file's value.
func (d *durations) Decode(ctx *kong.DecodeContext) error {
	items, err := listed(ctx)
	if err != nil {
		return err
	}
	for _, item := range items {
		one, err := time.ParseDuration(item)
		if err != nil {
			return fmt.Errorf("%q is no duration like 30s or 5m", item)
		}
		*d = append(*d, one)
	}
	return nil
}

// listed returns the items of a list that are not empty.
func listed(ctx *kong.DecodeContext) (items []string, err error) {
	switch v := ctx.Scan.Pop().Value.(type) {
	case string:
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
	case []any:
		for _, item := range v {
			if text := strings.TrimSpace(fmt.Sprint(item)); text != "" {
				items = append(items, text)
			}
		}
	default:
		return nil, fmt.Errorf("%v is no list", v)
	}
	return items, nil
}
