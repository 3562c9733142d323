package filter

import (
	"fmt"
	"slices"
	"strings"
)

// maxKeyDepth bounds the names below the first one of a key, and with it the
// recursion of the scan.
const maxKeyDepth = 10

// unsearchable is the attribute that no key reaches.
const unsearchable = "data_base64"

// spellings are the names that CloudEvents, its drafts and the Event Grid
// schema give to the same attribute, folded. A key may use any of them,
// whatever the schema of the event.
var spellings = [...][]string{
	{"id", "eventid"},
	{"type", "eventtype"},
	{"source", "topic"},
	{"time", "eventtime"},
	{"dataversion", "eventtypeversion"},
}

// otherSpellings returns the further names of a top-level attribute.
func otherSpellings(folded string) []string {
	for _, group := range spellings {
		for i, name := range group {
			if name == folded {
				return append(append([]string(nil), group[:i]...), group[i+1:]...)
			}
		}
	}
	return nil
}

// splitKey returns the names of a key's path. The first name is free, since
// any name may be a CloudEvents extension.
func splitKey(key string) ([]string, error) {
	if key == "" {
		return nil, fmt.Errorf("there is no key; name an attribute such as subject, or a path such as data.total")
	}
	path := strings.Split(key, ".")
	if slices.Contains(path, "") {
		return nil, fmt.Errorf("the key %s has an empty name between, before or after its dots; write a path such as data.order.total", quote(key))
	}
	if depth := len(path) - 1; depth > maxKeyDepth {
		return nil, fmt.Errorf("the key %s goes %d levels deep; the limit is %d. Filter on a property nearer to the root", quote(key), depth, maxKeyDepth)
	}
	return path, nil
}

// quote prepares what a user sent for a message.
func quote(s string) string {
	const most = 64
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return "'" + s + "'"
}
