package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/arm"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// settings are what every node of one installation shares: made once, at the
// first start, and kept in the store.
type settings struct {
	Tenant string `json:"tenant"` // GUID
	// Admin is the object id of the first Owner, Subscription the first
	// subscription.
	Admin        string `json:"admin"`
	Subscription string `json:"subscription"`

	signingKey []byte
}

const secretSigningKey = "signingKey"

var settingsID = resource.ID{}.Provider("Intertie.Server/settings", "default")

// loadSettings returns the settings, making them with the first principal and
// the first subscription if there are none. secret is the clear client secret
// of the principal, known only when it was made now.
func loadSettings(ctx context.Context, st *store.Store, now time.Time) (s *settings, secret string, err error) {
	err = st.Commit(ctx, func(tx resource.Tx) error {
		secret = "" // another node was faster: what this one made is not what there is
		if r, ok := tx.Get(settingsID); ok {
			s, err = resource.Properties[settings](r)
			if err == nil {
				s.signingKey = []byte(r.Secrets[secretSigningKey])
			}
			return err
		}
		s, secret, err = makeSettings(tx, now)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("load settings: %w", err)
	}
	return s, secret, nil
}

func makeSettings(tx resource.Tx, now time.Time) (*settings, string, error) {
	s := &settings{Tenant: uuid.NewString(), Subscription: uuid.NewString()}
	key, err := access.NewSigningKey()
	if err != nil {
		return nil, "", err
	}
	s.signingKey = key
	admin := access.NewServicePrincipal(s.Tenant, "admin", now)
	secret, stored := access.NewSecret("first start", now, time.Time{})
	admin.Secrets = []access.Secret{stored}
	s.Admin = admin.ObjectID

	principal, err := principalResource(nil, admin, now)
	if err != nil {
		return nil, "", err
	}
	tx.Put(principal)
	at := resource.Time(now)
	subscription, err := arm.NewSubscription(at, s.Subscription, "Default", s.Admin)
	if err != nil {
		return nil, "", err
	}
	tx.Put(subscription)
	owner, err := arm.NewRoleAssignment(resource.ID{}, uuid.NewString(), access.RoleOwner, s.Admin, at, s.Admin)
	if err != nil {
		return nil, "", err
	}
	tx.Put(owner)
	r := &resource.Resource{ID: settingsID, UID: resource.NewUID(), Type: settingsID.Type(), CreatedAt: now, ModifiedAt: now}
	r.Secret(secretSigningKey, string(key))
	if err := resource.Encode(r, s); err != nil {
		return nil, "", err
	}
	tx.Put(r)
	return s, secret, nil
}
