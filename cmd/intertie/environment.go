package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// ownVariables begin with INTERTIE_ and are no settings: they are what clients and the
// tests of the project go by.
var ownVariables = []string{"INTERTIE_URL", "INTERTIE_TENANT_ID", "INTERTIE_E2E", "INTERTIE_REQUIRE_EXTERNAL", "INTERTIE_NODE_MODULES"}

// linkVariables are set by Kubernetes and Docker in every container beside a service
// that is called intertie, or intertie-something.
var linkVariables = regexp.MustCompile(`^INTERTIE_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?|NAME)$`)

// AfterApply refuses a variable that is meant to be a setting and is none; kong calls
// it.
func (*serveCmd) AfterApply(ctx *kong.Context) error {
	known := map[string]bool{}
	_ = kong.Visit(ctx.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			for _, name := range flag.Envs {
				known[name] = true
			}
		}
		return next(nil)
	})
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "INTERTIE_") || known[name] || slices.Contains(ownVariables, name) || linkVariables.MatchString(name) {
			continue
		}
		return fmt.Errorf("the environment holds %s, which is no setting%s; unset it", name, similar(name, known))
	}
	return nil
}

// similar finds a known name that differs only in underscores.
func similar(name string, known map[string]bool) string {
	plain := func(s string) string { return strings.ReplaceAll(s, "_", "") }
	for k := range known {
		if plain(k) == plain(name) {
			return fmt.Sprintf(" (did you mean %s?)", k)
		}
	}
	return ""
}
