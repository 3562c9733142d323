package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// audiences map applications to the Azure subscriptions whose webhooks may have
// tokens for them. As text they are APPLICATION=ID,ID, one to a line.
type audiences map[string][]string

// Decode reads one flag, the environment variable, or the file's mapping.
func (a *audiences) Decode(ctx *kong.DecodeContext) error {
	token := ctx.Scan.Pop()
	if *a == nil {
		*a = audiences{}
	}
	switch v := token.Value.(type) {
	case string:
		for line := range strings.Lines(v) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			application, ids, ok := strings.Cut(line, "=")
			if !ok {
				return fmt.Errorf("%q is not APPLICATION=SUBSCRIPTIONID", line)
			}
			a.add(strings.TrimSpace(application), ids)
		}
	case map[string]any:
		for application, ids := range v {
			a.add(application, fmt.Sprint(ids))
		}
	default:
		return fmt.Errorf("%v is not a mapping of applications to ids of subscriptions", v)
	}
	return nil
}

func (a *audiences) add(application, ids string) {
	for id := range strings.SplitSeq(ids, ",") {
		(*a)[application] = append((*a)[application], strings.TrimSpace(id))
	}
}
