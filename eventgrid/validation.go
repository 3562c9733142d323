package eventgrid

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/resource"
)

// validationWindow is the default of [Rules.ValidationWindow].
const validationWindow = 10 * time.Minute

// secretValidation holds the open consent request of an event subscription.
const secretValidation = "validation"

// pendingValidation is stored with an event subscription that waits for its
// endpoint's consent.
type pendingValidation struct {
	Code     string    `json:"code"`
	Token    string    `json:"token"`
	Deadline time.Time `json:"deadline"`
}

// pendingOf returns the consent that an event subscription waits for, if any.
func pendingOf(r *resource.Resource) (p pendingValidation, ok bool) {
	err := json.Unmarshal([]byte(r.Secrets[secretValidation]), &p)
	return p, err == nil
}

// Validations remembers the consent requests under way in this process, so that
// a callback that arrives while the endpoint is still answering is not lost.
// It is safe for concurrent use.
type Validations struct {
	mu   sync.Mutex
	open map[string]*openValidation // by code
}

type openValidation struct {
	token     string
	confirmed bool
}

// NewValidations returns an empty one.
func NewValidations() *Validations { return &Validations{open: make(map[string]*openValidation)} }

func (v *Validations) begin() (code, token string) {
	secret := make([]byte, 32)
	rand.Read(secret)
	code, token = strings.ToUpper(uuid.NewString()), base64.RawURLEncoding.EncodeToString(secret)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open[code] = &openValidation{token: token}
	return code, token
}

// end forgets a request and reports whether its callback came.
func (v *Validations) end(code string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	o := v.open[code]
	delete(v.open, code)
	return o != nil && o.confirmed
}

// Confirm takes a callback for a request that is still under way. It returns
// false when there is none with this code and token.
func (v *Validations) Confirm(code, token string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	o := v.open[strings.ToUpper(code)]
	if o == nil || !sameText(o.token, token) {
		return false
	}
	o.confirmed = true
	return true
}

// ConfirmStored takes a callback for an event subscription that waits for it.
// It returns false when the link is unknown, wrong or too late.
func ConfirmStored(tx resource.Tx, id resource.ID, code, token string, now time.Time) (bool, error) {
	r, ok := tx.Get(id)
	if !ok {
		return false, nil
	}
	pending, ok := pendingOf(r)
	if !ok || !strings.EqualFold(pending.Code, code) || !sameText(pending.Token, token) {
		return false, nil
	}
	p, err := resource.Properties[EventSubscription](r)
	if err != nil {
		return false, err
	}
	if p.ProvisioningState == Succeeded {
		return true, nil // the link was followed before
	}
	if p.ProvisioningState != AwaitingManualAction || now.After(pending.Deadline) {
		return false, nil
	}
	next := r.Clone()
	next.Secret(SecretValidatedURL, r.Secrets[SecretEndpointURL])
	p.ProvisioningState = Succeeded
	if err := resource.Encode(next, p); err != nil {
		return false, err
	}
	tx.Put(next)
	return true, nil
}

func sameText(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
