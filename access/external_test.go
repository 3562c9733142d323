package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// people is a directory that can lose its principals.
type people struct {
	mu   sync.Mutex // protects byID
	byID map[string]ServicePrincipal
}

func (p *people) ByObjectID(id string) (ServicePrincipal, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sp, ok := p.byID[strings.ToLower(id)]
	return sp, ok
}

func (p *people) set(id string, sp *ServicePrincipal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byID, id)
	if sp != nil {
		p.byID[id] = *sp
	}
}

// elsewhere takes texts for tokens.
type elsewhere map[string]Claims

func (e elsewhere) Verify(token string, audiences []string) (Claims, error) {
	switch {
	case token == "down":
		return Claims{}, ErrIssuerDown
	case !slices.Contains(audiences, AudienceManagement):
		return Claims{}, ErrTokenAudience
	}
	c, ok := e[token]
	if !ok {
		return Claims{}, ErrTokenIssuer
	}
	return c, nil
}

func tokensWith(t testing.TB, o TokenOptions) *Tokens {
	t.Helper()
	key, err := NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := NewTokens([][]byte{key}, o)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestTokensEndWithTheirPrincipal(t *testing.T) {
	for name, size := range map[string]int{"remembered": 0, "not remembered": -1} {
		t.Run(name, func(t *testing.T) {
			dir := &people{byID: map[string]ServicePrincipal{"p1": {ObjectID: "p1"}, "p2": {ObjectID: "p2"}}}
			tokens := tokensWith(t, TokenOptions{Directory: dir, CacheSize: size})
			issued := make(map[string]string)
			for id := range dir.byID {
				token, _, err := tokens.Issue(Subject{ObjectID: id}, AudienceManagement, "https://h/v2.0", time.Now())
				if err != nil {
					t.Fatal(err)
				}
				issued[id] = token
			}
			verify := func(id string) error {
				_, err := tokens.Verify(issued[id], []string{AudienceManagement})
				return err
			}
			for _, step := range []struct {
				next *ServicePrincipal
				want error
			}{
				{&ServicePrincipal{ObjectID: "p1"}, nil},
				{&ServicePrincipal{ObjectID: "p1", Disabled: true}, ErrTokenRevoked},
				{&ServicePrincipal{ObjectID: "p1"}, nil},
				{nil, ErrTokenRevoked},
				{&ServicePrincipal{ObjectID: "p1", Pending: true}, ErrTokenRevoked},
			} {
				dir.set("p1", step.next)
				tokens.Forget()
				for range 2 {
					if err := verify("p1"); !errors.Is(err, step.want) {
						t.Errorf("%+v: got %v, want %v", step.next, err, step.want)
					}
				}
				if err := verify("p2"); err != nil {
					t.Errorf("another principal: %v", err)
				}
			}
		})
	}
}

// What was found out before a deletion must not be remembered after it.
func TestForgetDuringVerification(t *testing.T) {
	c := newClaimsCache(0)
	id, before := cacheKey("t"), c.now()
	c.forget()
	c.put(id, Claims{ID: "late"}, before)
	if _, ok := c.get(id); ok {
		t.Error("a result from before was put in")
	}
	c.put(id, Claims{ID: "t"}, c.now())
	if _, ok := c.get(id); !ok {
		t.Error("a new result was not put in")
	}
}

func TestTokensOfOthers(t *testing.T) {
	dir := &people{byID: map[string]ServicePrincipal{"admin": {ObjectID: "admin"}, "disabled": {ObjectID: "disabled", Disabled: true}}}
	others := elsewhere{
		"alice":           {Subject: Subject{ObjectID: "alice"}, Groups: []string{"ops", "ADMIN", "devs"}},
		"a false admin":   {Subject: Subject{ObjectID: "Admin"}},
		"a false sleeper": {Subject: Subject{ObjectID: "disabled"}},
	}
	tokens := tokensWith(t, TokenOptions{Directory: dir, External: others})
	own, _, err := tokens.Issue(Subject{ObjectID: "admin"}, AudienceManagement, "https://h/v2.0", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	others[own] = Claims{Subject: Subject{ObjectID: "mallory"}}
	management := []string{AudienceManagement}
	for token, want := range map[string]error{
		own: nil, "alice": nil, "a false admin": ErrTokenSignature, "a false sleeper": ErrTokenSignature,
		"nobody": ErrTokenMalformed, "down": ErrIssuerDown,
	} {
		c, err := tokens.Verify(token, management)
		if !errors.Is(err, want) {
			t.Errorf("%.20s: got %v, want %v", token, err, want)
		}
		if err == nil && c.External != (token == "alice") {
			t.Errorf("%.20s: external is %v", token, c.External)
		}
	}
	if c, err := tokens.Verify(own, management); err != nil || c.ObjectID != "admin" {
		t.Errorf("our own token was shown to others: %+v, %v", c, err)
	}
	c, err := tokens.Verify("alice", management)
	if err != nil || !slices.Equal(c.Groups, []string{"ops", "devs"}) {
		t.Errorf("groups %v, %v: the id of a principal of this server is none", c.Groups, err)
	}
	if len(others["alice"].Groups) != 3 || others["alice"].Groups[1] != "ADMIN" {
		t.Error("what the issuer keeps was changed")
	}
	if _, err := tokensWith(t, TokenOptions{}).Verify(own, management); !errors.Is(err, ErrTokenSignature) {
		t.Errorf("the token of another server: %v", err)
	}
}

func TestGroups(t *testing.T) {
	var a Authorizer
	a.Set([]Assignment{
		{Scope: rg1, RoleID: RoleReader, PrincipalID: "readers", PrincipalType: "group"},
		{Scope: topic, RoleID: RoleEventGridDataSender, PrincipalID: "senders", PrincipalType: PrincipalGroup},
		{Scope: "/", RoleID: RoleOwner, PrincipalID: "program", PrincipalType: PrincipalProgram},
		{Scope: rg1, RoleID: RoleContributor, PrincipalID: "alice", PrincipalType: PrincipalUser},
	}, nil)
	const read, write = "Microsoft.EventGrid/topics/read", "Microsoft.EventGrid/topics/write"
	for _, c := range []struct {
		who    string
		groups []string
		write  bool
		read   bool
		send   bool
		any    bool
	}{
		{"bob", nil, false, false, false, false},
		{"bob", []string{"READERS"}, false, true, false, true},
		{"bob", []string{"x", "senders"}, false, true, true, true},
		{"bob", []string{"program"}, false, false, false, false}, // named by an issuer that does not know it is none
		{"alice", []string{"senders"}, true, true, true, true},
		{"program", nil, true, true, false, true},
	} {
		t.Run(fmt.Sprint(c.who, c.groups), func(t *testing.T) {
			if a.Allowed(c.who, write, topic, c.groups...) != c.write || a.Allowed(c.who, read, topic, c.groups...) != c.read ||
				a.AllowedData(c.who, ActionSendEvents, topic, c.groups...) != c.send || a.AnyAt(c.who, sub1, c.groups...) != c.any {
				t.Error("not as wanted")
			}
		})
	}
	if g, ok := a.Decide("bob", read, topic, "senders", "readers"); !ok || g.PrincipalID != "senders" {
		t.Errorf("decided by %+v", g)
	}
	var names []string
	for _, r := range a.RolesAt("alice", topic, "senders", "readers") {
		names = append(names, r.Name)
	}
	if diff := cmp.Diff([]string{"Contributor", "EventGrid Data Sender", "Reader"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCustomRolesOnlyInTheirScopes(t *testing.T) {
	var a Authorizer
	role := Role{ID: "aaaaaaaa-0000-4000-8000-000000000001", Custom: true, AssignableScopes: []string{rg1}, Permissions: []Permission{{Actions: []string{"*"}}}}
	a.Set([]Assignment{
		{Scope: sub1, RoleID: role.ID, PrincipalID: "above"},
		{Scope: rg1, RoleID: role.ID, PrincipalID: "at"},
		{Scope: topic, RoleID: role.ID, PrincipalID: "below"},
		{Scope: rg1 + "0", RoleID: role.ID, PrincipalID: "beside"},
	}, []Role{role})
	for who, want := range map[string]bool{"above": false, "at": true, "below": true, "beside": false} {
		if a.Allowed(who, "x/read", topic) != want {
			t.Errorf("%s: not %v", who, want)
		}
	}
}

func TestThrottle(t *testing.T) {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	th := &Throttle{Now: func() time.Time { return now }}
	told := 0
	for range 50 {
		if _, ok := th.News("a"); ok {
			told++
		}
	}
	if _, ok := th.News("b"); !ok || told != throttleEach {
		t.Errorf("%d lines about a; b told: %v", told, ok)
	}
	now = now.Add(throttlePeriod)
	if held, ok := th.News("a"); !ok || held != 50-throttleEach {
		t.Errorf("after a minute: %d left out, %v", held, ok)
	}
	told = 0
	for i := range 10 * throttleSources {
		if _, ok := th.News(fmt.Sprint(i)); ok {
			told++
		}
	}
	if told > throttleAll || len(th.sources) > throttleSources+1 {
		t.Errorf("%d lines, %d sources", told, len(th.sources))
	}
}

// match by definition: try every length for every wildcard.
func matchSlowly(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] != '*' {
		return s != "" && s[0] == pattern[0] && matchSlowly(pattern[1:], s[1:])
	}
	return matchSlowly(pattern[1:], s) || s != "" && matchSlowly(pattern, s[1:])
}

func FuzzPattern(f *testing.F) {
	f.Add("*/read", "microsoft.eventgrid/topics/read")
	f.Add("a*b*a", "aba")
	f.Add("a**", "a")
	f.Fuzz(func(t *testing.T, p, s string) {
		if len(p) > 12 || len(s) > 24 {
			return
		}
		p, s = strings.ToLower(p), strings.ToLower(s)
		if got, want := compilePattern(p).match(s), matchSlowly(p, s); got != want {
			t.Errorf("%q on %q: %v", p, s, got)
		}
	})
}
