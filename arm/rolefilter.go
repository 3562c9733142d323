package arm

import (
	"regexp"
	"slices"
	"strings"

	"github.com/intertie/intertie/resource"
)

// Terms of the filters of role definitions and assignments, in lower case.
const (
	termRoleName        = "rolename"
	termType            = "type"
	termPrincipal       = "principalid"
	termAssignedTo      = "assignedto"
	termAtScope         = "atscope"
	termAtScopeAndBelow = "atscopeandbelow"
)

var (
	definitionTerms = []string{termRoleName, termType, termAtScope, termAtScopeAndBelow}
	assignmentTerms = []string{termPrincipal, termAssignedTo, termAtScope}
)

// roleFilter is what a filter asks for: the values of its terms, "" for those
// that take none.
type roleFilter map[string]string

func (f roleFilter) has(term string) bool { _, ok := f[term]; return ok }

// allows reports whether a property has the value asked for, if one is.
func (f roleFilter) allows(term, value string) bool {
	want, ok := f[term]
	return !ok || strings.EqualFold(want, value)
}

// roleTerm is one term: a comparison, or a call with or without an argument.
// Clients write object ids with and without quotes.
var roleTerm = regexp.MustCompile(`^(?:(\w+)\s+(?i:eq)\s+('(?:[^']|'')*'|[0-9A-Za-z-]+)|(\w+)\(\s*('(?:[^']|'')*'|[0-9A-Za-z-]+)?\s*\))\s*`)

// roleTermTakesValue tells which terms are nothing without a value.
var roleTermTakesValue = map[string]bool{termRoleName: true, termType: true, termPrincipal: true, termAssignedTo: true}

// parseRoleFilter reads terms that are joined by and. What it does not know is
// refused: a filter that is not applied would show a stranger's role as the one
// that was asked for.
func parseRoleFilter(text string, terms []string) (roleFilter, error) {
	f := roleFilter{}
	rest := strings.TrimSpace(text)
	if rest == "" {
		return f, nil
	}
	for {
		m := roleTerm.FindStringSubmatch(rest)
		if m == nil {
			return nil, badRoleFilter(text, terms)
		}
		name, value := strings.ToLower(m[1]+m[3]), m[2]+m[4]
		call := m[3] != ""
		if !slices.Contains(terms, name) || f.has(name) || roleTermTakesValue[name] == (value == "") || call == (name == termRoleName || name == termType || name == termPrincipal) {
			return nil, badRoleFilter(text, terms)
		}
		if quoted, ok := strings.CutPrefix(value, "'"); ok {
			value = strings.ReplaceAll(strings.TrimSuffix(quoted, "'"), "''", "'")
		}
		f[name] = value
		if rest = rest[len(m[0]):]; rest == "" {
			return f, nil
		}
		if len(rest) < 4 || !strings.EqualFold(rest[:3], "and") || rest[3] != ' ' {
			return nil, badRoleFilter(text, terms)
		}
		rest = strings.TrimSpace(rest[3:])
	}
}

func badRoleFilter(text string, terms []string) error {
	return resource.Errorf(resource.InvalidFilter, "The $filter '%s' is not supported here; known are %s, each once, joined by 'and'.", text, strings.Join(terms, ", "))
}
