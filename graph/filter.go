package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/intertie/intertie/access"
)

// condition is one $filter that clients of this API send.
type condition struct {
	property string // lower case
	prefix   bool   // startswith instead of eq
	value    string
}

// parseFilter reads the forms that az and the SDKs write, joined by and:
//
//	appId eq 'x'
//	displayName eq 'x'
//	startswith(displayName,'x')
//	servicePrincipalNames/any(c:c eq 'x')
//	identifierUris/any(c:c eq 'x')
//
// Anything else is refused rather than ignored: a filter that is not applied
// would present a stranger as the one that was looked for.
func parseFilter(s string) ([]condition, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var all []condition
	for _, term := range conjuncts(s) {
		c, err := parseCondition(strings.TrimSpace(term), s)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

const and = " and "

// conjuncts cuts s at every "and" that is in no quoted text.
func conjuncts(s string) []string {
	var out []string
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			quoted = !quoted // a doubled quote turns it twice
		case !quoted && len(s)-i >= len(and) && strings.EqualFold(s[i:i+len(and)], and):
			out = append(out, s[from:i])
			from = i + len(and)
			i = from - 1
		}
	}
	return append(out, s[from:])
}

func parseCondition(s, whole string) (condition, error) {
	if args, ok := cutCall(s, "startswith("); ok {
		prop, lit, _ := strings.Cut(args, ",")
		if v, ok := unquote(strings.TrimSpace(lit)); ok {
			return known(condition{strings.TrimSpace(prop), true, v}, whole)
		}
	}
	// No application here has an identifier URI; az asks for one all the same.
	for call, property := range map[string]string{"servicePrincipalNames/any(": "appid", "identifierUris/any(": "identifieruri"} {
		lambda, ok := cutCall(s, call)
		if !ok {
			continue
		}
		name, body, _ := strings.Cut(lambda, ":")
		if c, ok := equality(body); ok && strings.EqualFold(c.property, strings.TrimSpace(name)) {
			return condition{property, false, c.value}, nil
		}
	}
	if c, ok := equality(s); ok {
		return known(c, whole)
	}
	return unsupported(whole)
}

func known(c condition, whole string) (condition, error) {
	c.property = strings.ToLower(c.property)
	switch c.property {
	case "appid", "id", "displayname":
		return c, nil
	}
	return unsupported(whole)
}

func unsupported(s string) (condition, error) {
	return condition{}, badRequest("Request_UnsupportedQuery", "Unsupported query: $filter="+s)
}

// cutCall returns what stands in the parentheses of a call.
func cutCall(s, name string) (string, bool) {
	if len(s) <= len(name) || !strings.EqualFold(s[:len(name)], name) {
		return "", false
	}
	return strings.CutSuffix(s[len(name):], ")")
}

// equality reads: property eq 'value'.
func equality(s string) (condition, bool) {
	prop, rest, ok := strings.Cut(strings.TrimSpace(s), " ")
	if !ok {
		return condition{}, false
	}
	op, lit, ok := strings.Cut(strings.TrimSpace(rest), " ")
	if !ok || !strings.EqualFold(op, "eq") {
		return condition{}, false
	}
	v, ok := unquote(strings.TrimSpace(lit))
	return condition{property: prop, value: v}, ok
}

// unquote reads an OData string: in single quotes, which are doubled inside.
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '\'' || s[len(s)-1] != '\'' {
		return "", false
	}
	inner := s[1 : len(s)-1]
	if strings.Contains(strings.ReplaceAll(inner, "''", ""), "'") {
		return "", false
	}
	return strings.ReplaceAll(inner, "''", "'"), true
}

// holds compares without letter case, as Graph does. What an object does not
// have equals nothing.
func (c condition) holds(values map[string]string) bool {
	have, ok := values[c.property]
	have, want := strings.ToLower(have), strings.ToLower(c.value)
	if c.prefix {
		return ok && strings.HasPrefix(have, want)
	}
	return ok && have == want
}

// search returns the applications or the principals that $filter names, by name.
// There are no pages: a directory here has hundreds of entries, not millions.
func (h *Handler) search(c *call, applications bool) ([]access.ServicePrincipal, error) {
	conditions, err := parseFilter(c.r.URL.Query().Get("$filter"))
	if err != nil {
		return nil, err
	}
	all, err := h.Directory.List(c.r.Context())
	if err != nil {
		return nil, fmt.Errorf("list service principals: %w", err)
	}
	found := slices.DeleteFunc(slices.Clone(all), func(p access.ServicePrincipal) bool {
		id := p.ObjectID
		if applications {
			id = applicationID(p)
		}
		values := map[string]string{"appid": p.AppID, "id": id, "displayname": p.DisplayName}
		return p.Pending && !applications ||
			slices.ContainsFunc(conditions, func(c condition) bool { return !c.holds(values) })
	})
	slices.SortFunc(found, func(a, b access.ServicePrincipal) int {
		return cmp.Or(cmp.Compare(a.DisplayName, b.DisplayName), cmp.Compare(a.AppID, b.AppID))
	})
	return found, nil
}
