package access

import "strings"

// compiledRole is a role with its patterns ready for matching.
type compiledRole struct {
	role          Role
	control, data actionSet
}

// actionSet is what a role allows: everything in allow that is not in except.
type actionSet struct {
	allow, except []pattern
}

// compileRole pools the permissions of a role, so that notActions of one
// permission also limit the others: the narrower of two readings, and the same
// one for the single permission that Azure permits.
func compileRole(r Role) *compiledRole {
	c := &compiledRole{role: r}
	for _, p := range r.Permissions {
		c.control.allow = appendPatterns(c.control.allow, p.Actions)
		c.control.except = appendPatterns(c.control.except, p.NotActions)
		c.data.allow = appendPatterns(c.data.allow, p.DataActions)
		c.data.except = appendPatterns(c.data.except, p.NotDataActions)
	}
	return c
}

// allows takes the action in lower case.
func (s actionSet) allows(action string) bool {
	return matchAny(s.allow, action) && !matchAny(s.except, action)
}

// pattern is a lower-case action pattern, cut at its wildcards: prefix, then
// the parts of middle in this order, then suffix. Without a wildcard prefix is
// the whole pattern.
type pattern struct {
	wild           bool
	prefix, suffix string
	middle         []string
}

func compilePattern(s string) pattern {
	parts := strings.Split(strings.ToLower(s), "*")
	if len(parts) == 1 {
		return pattern{prefix: parts[0]}
	}
	p := pattern{wild: true, prefix: parts[0], suffix: parts[len(parts)-1]}
	for _, m := range parts[1 : len(parts)-1] {
		if m != "" {
			p.middle = append(p.middle, m)
		}
	}
	return p
}

func (p pattern) match(s string) bool {
	if !p.wild {
		return s == p.prefix
	}
	// The length check keeps prefix and suffix from sharing characters.
	if len(s) < len(p.prefix)+len(p.suffix) || !strings.HasPrefix(s, p.prefix) || !strings.HasSuffix(s, p.suffix) {
		return false
	}
	s = s[len(p.prefix) : len(s)-len(p.suffix)]
	// Taking the leftmost place for each part leaves the most room for the rest.
	for _, m := range p.middle {
		i := strings.Index(s, m)
		if i < 0 {
			return false
		}
		s = s[i+len(m):]
	}
	return true
}

func matchAny(ps []pattern, s string) bool {
	for _, p := range ps {
		if p.match(s) {
			return true
		}
	}
	return false
}

func appendPatterns(ps []pattern, raw []string) []pattern {
	for _, s := range raw {
		ps = append(ps, compilePattern(s))
	}
	return ps
}
