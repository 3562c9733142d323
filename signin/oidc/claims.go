package oidc

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
)

// maxGroups is how many groups of a token count; Entra, too, names no more.
const maxGroups = 200

// ObjectIDOf is the object id of a principal whose tokens name none: version 5 of
// a UUID over sub, in the namespace that is version 5 over the issuer's URL.
func ObjectIDOf(issuer, sub string) string {
	return uuid.NewSHA1(uuid.NewSHA1(uuid.NameSpaceURL, []byte(issuer)), []byte(sub)).String()
}

// GroupIDOf is the object id of a group that is named by a text: as
// [ObjectIDOf], in the namespace over the issuer's URL and "#groups". So a user
// cannot become a group by taking its name.
func GroupIDOf(issuer, group string) string { return ObjectIDOf(issuer+"#groups", group) }

// verified is what a token with a good signature says.
type verified struct {
	claims    access.Claims
	audiences []string
	notBefore time.Time
}

// read takes from the claims what the server needs.
func (o Options) read(std jwt.Claims, all map[string]any) verified {
	c := access.Claims{
		Subject: access.Subject{
			ObjectID: ObjectIDOf(std.Issuer, std.Subject), Tenant: first(all, o.Tenant),
			AppID: first(all, "appid", "azp", "client_id"), Name: first(all, "name", "preferred_username", "email", "sub"),
		},
		Issuer: std.Issuer, ID: first(all, "uti", "jti"), IssuedAt: std.IssuedAt.Time(), Expires: std.Expiry.Time(),
	}
	if id, ok := guid(first(all, o.ObjectID)); ok {
		c.ObjectID = id
	}
	if o.Name != "" {
		c.Name = first(all, o.Name)
	}
	for _, g := range texts(claim(all, o.Groups)) {
		if len(c.Groups) == maxGroups {
			break
		}
		id, ok := guid(g)
		if !ok {
			id = GroupIDOf(std.Issuer, g)
		}
		if g != "" && !slices.Contains(c.Groups, id) {
			c.Groups = append(c.Groups, id)
		}
	}
	return verified{claims: c, audiences: std.Audience, notBefore: std.NotBefore.Time()}
}

// at returns the claims if the token is good now, for one of audiences.
func (v verified) at(now time.Time, o Options, audiences []string) (access.Claims, error) {
	switch {
	case !now.Before(v.claims.Expires.Add(o.Skew)):
		return access.Claims{}, fmt.Errorf("%w: since %s", access.ErrTokenExpired, v.claims.Expires.UTC().Format(time.RFC3339))
	case now.Add(o.Skew).Before(v.notBefore) || now.Add(o.Skew).Before(v.claims.IssuedAt):
		return access.Claims{}, access.ErrTokenEarly
	}
	if len(o.Audiences) > 0 {
		audiences = o.Audiences
	}
	for _, aud := range v.audiences {
		if slices.ContainsFunc(audiences, func(a string) bool { return access.SameAudience(a, aud) }) {
			c := v.claims
			c.Audience, c.Groups = aud, slices.Clone(c.Groups)
			return c, nil
		}
	}
	return access.Claims{}, fmt.Errorf("%w: %.200q", access.ErrTokenAudience, v.audiences)
}

// claim finds a claim by its name or its dotted path.
func claim(all map[string]any, name string) any {
	if v, ok := all[name]; ok {
		return v
	}
	head, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	inner, ok := all[head].(map[string]any)
	if !ok {
		return nil
	}
	return claim(inner, rest)
}

// first returns the first of some claims that is a text.
func first(all map[string]any, names ...string) string {
	for _, n := range names {
		if s, ok := claim(all, n).(string); ok && s != "" {
			return s
		}
	}
	return ""
}

func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// guid takes the plain form only: a URN of a GUID is the name of something else.
func guid(s string) (string, bool) {
	if len(s) != 36 || uuid.Validate(s) != nil {
		return "", false
	}
	return strings.ToLower(s), true
}
