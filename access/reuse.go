package access

import (
	"sync"
	"time"
)

// issued keeps the tokens that this server uses itself.
type issued struct {
	mu     sync.Mutex
	tokens map[issuedKey]issuedToken
}

type issuedKey struct {
	subject          Subject
	audience, issuer string
}

type issuedToken struct {
	token string
	until time.Time
}

// maxIssued bounds the tokens kept; when it is reached, all are made anew.
const maxIssued = 1024

// Reuse is [Tokens.Issue] for a token that is sent many times: the same one is
// returned for half of its life.
func (t *Tokens) Reuse(s Subject, audience, issuer string, now time.Time) (string, error) {
	key := issuedKey{s, audience, issuer}
	t.issued.mu.Lock()
	defer t.issued.mu.Unlock()
	if have, ok := t.issued.tokens[key]; ok && now.Before(have.until) {
		return have.token, nil
	}
	token, life, err := t.Issue(s, audience, issuer, now)
	if err != nil {
		return "", err
	}
	if t.issued.tokens == nil || len(t.issued.tokens) >= maxIssued {
		t.issued.tokens = make(map[issuedKey]issuedToken)
	}
	t.issued.tokens[key] = issuedToken{token, now.Add(life / 2)}
	return token, nil
}
