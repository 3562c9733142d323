package resource

import (
	"fmt"
	"strings"
	"testing"
)

func TestTagLimits(t *testing.T) {
	many := func(n int) map[string]string {
		tags := make(map[string]string)
		for i := range n {
			tags[fmt.Sprint("t", i)] = ""
		}
		return tags
	}
	for name, c := range map[string]struct {
		tags map[string]string
		why  string // empty: taken
	}{
		"none":            {nil, ""},
		"as many as may":  {many(MaxTags), ""},
		"one too many":    {many(MaxTags + 1), "at most 50"},
		"longest":         {map[string]string{strings.Repeat("ä", MaxTagNameLen): strings.Repeat("ß", MaxTagValueLen)}, ""},
		"name too long":   {map[string]string{strings.Repeat("a", MaxTagNameLen+1): ""}, "513 characters"},
		"value too long":  {map[string]string{"a": strings.Repeat("b", MaxTagValueLen+1)}, "257 characters"},
		"no name":         {map[string]string{" ": "x"}, "empty"},
		"reserved":        {map[string]string{"a/b": "x"}, "reserved"},
		"control":         {map[string]string{"a\nb": "x"}, "reserved"},
		"same but case":   {map[string]string{"Env": "x", "env": "y"}, "'Env' and 'env'"},
		"anything valued": {map[string]string{"a": "<%&?/\\"}, ""},
	} {
		err := CheckTags(c.tags)
		if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStatusOfACreation(t *testing.T) {
	if got := (Status{Put: 202}).CreateStatus(); got != 202 {
		t.Errorf("that of any PUT: %d", got)
	}
	if got := (Status{Create: 201}); got.CreateStatus() != 201 || got.PutStatus() != 200 {
		t.Errorf("its own: %d, %d", got.CreateStatus(), got.PutStatus())
	}
}
