package access

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// shardCount is how many parts the table of principals has: a change of one
// principal copies one part.
const shardCount = 256

// grants holds everything under lower-case keys. Questions read the shards without
// a lock; what is in them is never changed, but replaced.
type grants struct {
	seed   maphash.Seed
	shards [shardCount]atomic.Pointer[map[string]*held]

	mu          sync.Mutex // protects the fields below, and changes of the shards
	assignments map[string][]Assignment
	roles       map[string]*compiledRole
	holders     map[string]map[string]int // of a role: how often each principal has it
}

func newGrants() *grants {
	g := &grants{
		seed: maphash.MakeSeed(), assignments: make(map[string][]Assignment),
		roles: make(map[string]*compiledRole), holders: make(map[string]map[string]int),
	}
	for _, r := range BuiltInRoles() {
		g.roles[roleKey(r.ID)] = compileRole(r)
	}
	return g
}

func (g *grants) shard(principal string) *atomic.Pointer[map[string]*held] {
	return &g.shards[maphash.String(g.seed, principal)%shardCount]
}

func (g *grants) held(principal string) *held {
	m := g.shard(principal).Load()
	if m == nil {
		return nil
	}
	return (*m)[principal]
}

func (g *grants) apply(c Changes) {
	g.mu.Lock()
	defer g.mu.Unlock()
	touched := make(map[string]bool)
	for _, as := range c.Gone {
		g.drop(as, touched)
	}
	for _, id := range c.GoneRoles {
		g.setRole(roleKey(id), nil, touched)
	}
	for _, r := range c.Roles {
		g.setRole(roleKey(r.ID), compileRole(r.clone()), touched)
	}
	for _, as := range c.Assigned {
		who, role := strings.ToLower(as.PrincipalID), roleKey(as.RoleID)
		if who == "" {
			continue
		}
		g.assignments[who] = append(g.assignments[who], as)
		if g.holders[role] == nil {
			g.holders[role] = make(map[string]int)
		}
		g.holders[role][who]++
		touched[who] = true
	}
	g.rebuild(touched)
}

func (g *grants) drop(as Assignment, touched map[string]bool) {
	who := strings.ToLower(as.PrincipalID)
	all := g.assignments[who]
	i := slices.IndexFunc(all, func(has Assignment) bool { return strings.EqualFold(has.ID, as.ID) })
	if i < 0 {
		return
	}
	role := roleKey(all[i].RoleID)
	if g.holders[role][who]--; g.holders[role][who] == 0 {
		delete(g.holders[role], who)
	}
	if len(g.holders[role]) == 0 {
		delete(g.holders, role)
	}
	if g.assignments[who] = slices.Delete(all, i, i+1); len(all) == 1 {
		delete(g.assignments, who)
	}
	touched[who] = true
}

// setRole changes a custom role; nil takes it away.
func (g *grants) setRole(key string, role *compiledRole, touched map[string]bool) {
	switch old := g.roles[key]; {
	case old != nil && !old.role.Custom:
		return // a built-in one stays what it is
	case role == nil:
		delete(g.roles, key)
	default:
		g.roles[key] = role
	}
	for who := range g.holders[key] {
		touched[who] = true
	}
}

// rebuild makes questions see what principals have now. Those of one shard are
// replaced together.
func (g *grants) rebuild(touched map[string]bool) {
	next := make(map[*atomic.Pointer[map[string]*held]]map[string]*held)
	for who := range touched {
		shard := g.shard(who)
		m := next[shard]
		if m == nil {
			m = make(map[string]*held)
			if old := shard.Load(); old != nil {
				m = maps.Clone(*old)
			}
			next[shard] = m
		}
		if h := g.build(g.assignments[who]); h != nil {
			m[who] = h
		} else {
			delete(m, who)
		}
	}
	for shard, m := range next {
		shard.Store(&m)
	}
}

// build returns what assignments of one principal give; nil when that is nothing.
func (g *grants) build(assignments []Assignment) *held {
	h := &held{byScope: map[string][]given{}}
	for _, as := range assignments {
		role := g.roles[roleKey(as.RoleID)]
		scope, ok := scopeKey(as.Scope)
		if role == nil || !ok || role.role.Custom && !role.role.AssignableAt(as.Scope) {
			continue
		}
		next := given{compiledRole: role, by: as, toGroup: strings.EqualFold(as.PrincipalType, PrincipalGroup)}
		if !slices.ContainsFunc(h.byScope[scope], func(g given) bool { return g.compiledRole == role && g.toGroup == next.toGroup }) {
			h.byScope[scope] = append(h.byScope[scope], next)
		}
	}
	if len(h.byScope) == 0 {
		return nil
	}
	h.scopes = slices.Sorted(maps.Keys(h.byScope))
	return h
}

func (g *grants) assigned(role string) []Assignment {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Assignment
	for who := range g.holders[role] {
		for _, as := range g.assignments[who] {
			if roleKey(as.RoleID) == role {
				out = append(out, as)
			}
		}
	}
	return out
}
