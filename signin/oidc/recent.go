package oidc

import (
	"crypto/sha256"
	"sync"
)

// maxRecent bounds the tokens remembered; when it is reached all are forgotten,
// which costs one check of each signature.
const maxRecent = 4096

// recent remembers which tokens have a good signature, by their hashes. The zero
// value is empty.
type recent struct {
	mu     sync.RWMutex // protects tokens
	tokens map[[sha256.Size]byte]verified
}

func (r *recent) get(token string) (verified, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	v, ok := r.tokens[sha256.Sum256([]byte(token))]
	return v, ok
}

func (r *recent) put(token string, v verified) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tokens == nil || len(r.tokens) >= maxRecent {
		r.tokens = make(map[[sha256.Size]byte]verified)
	}
	r.tokens[sha256.Sum256([]byte(token))] = v
}
