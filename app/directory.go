package app

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// typePrincipal is how service principals lie in the store: no resource of ARM,
// so no management path leads to them.
const typePrincipal = "Intertie.Directory/servicePrincipals"

const secretCredentials = "credentials"

// directory is the service principals, indexed for sign-in. It follows the
// store and is safe for concurrent use.
type directory struct {
	store *store.Store
	now   func() time.Time

	mu       sync.RWMutex // protects the maps
	byApp    map[string]access.ServicePrincipal
	byObject map[string]access.ServicePrincipal
}

func newDirectory(st *store.Store, now func() time.Time) *directory {
	return &directory{
		store: st, now: now,
		byApp: make(map[string]access.ServicePrincipal), byObject: make(map[string]access.ServicePrincipal),
	}
}

// observe keeps the indexes current; see [store.Store.Observe].
func (d *directory) observe(c store.Change) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.Old != nil {
		if old, ok := d.byObject[strings.ToLower(c.Old.ID.Name())]; ok {
			app := strings.ToLower(old.AppID)
			if d.byApp[app].ObjectID == old.ObjectID { // else another one stands for the application already
				delete(d.byApp, app)
			}
			delete(d.byObject, strings.ToLower(old.ObjectID))
		}
	}
	if c.New == nil {
		return nil
	}
	sp, err := principalOf(c.New)
	if err != nil {
		return err
	}
	d.byApp[strings.ToLower(sp.AppID)] = sp
	d.byObject[strings.ToLower(sp.ObjectID)] = sp
	return nil
}

// List implements [graph.Directory].
func (d *directory) List(context.Context) ([]access.ServicePrincipal, error) {
	var out []access.ServicePrincipal
	for _, r := range d.store.List(typePrincipal, resource.ID{}) {
		sp, err := principalOf(r)
		if err != nil {
			return nil, err
		}
		out = append(out, sp)
	}
	return out, nil
}

// ByAppID implements [signin.Directory] and [graph.Directory].
func (d *directory) ByAppID(appID string) (access.ServicePrincipal, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	sp, ok := d.byApp[strings.ToLower(appID)]
	return sp.Clone(), ok
}

// ByObjectID implements [graph.Directory].
func (d *directory) ByObjectID(objectID string) (access.ServicePrincipal, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	sp, ok := d.byObject[strings.ToLower(objectID)]
	return sp.Clone(), ok
}

// Put implements [graph.Directory].
func (d *directory) Put(ctx context.Context, sp access.ServicePrincipal) error {
	id := principalID(sp)
	return d.store.Commit(ctx, func(tx resource.Tx) error {
		old, ok := tx.Get(id)
		if ok && old.Revision != sp.Revision || !ok && sp.Revision != 0 {
			return access.ErrConflict
		}
		r, err := principalResource(old, sp, d.now())
		if err != nil {
			return err
		}
		tx.Put(r)
		return nil
	})
}

// Remove implements [graph.Directory].
func (d *directory) Remove(ctx context.Context, sp access.ServicePrincipal, instead *access.ServicePrincipal) error {
	id := principalID(sp)
	return d.store.Commit(ctx, func(tx resource.Tx) error {
		old, ok := tx.Get(id)
		if !ok || old.Revision != sp.Revision {
			return access.ErrConflict
		}
		tx.Delete(id)
		if instead == nil {
			return nil
		}
		r, err := principalResource(nil, *instead, d.now())
		if err != nil {
			return err
		}
		tx.Put(r)
		return nil
	})
}

func principalID(sp access.ServicePrincipal) resource.ID {
	return resource.ID{}.Provider(typePrincipal, sp.ObjectID)
}

// credentials are the part of a principal that is sealed.
type credentials struct {
	Secrets      []access.Secret
	Certificates []access.Certificate
}

// principalResource turns a principal into what is stored; old may be nil.
func principalResource(old *resource.Resource, sp access.ServicePrincipal, now time.Time) (*resource.Resource, error) {
	r := &resource.Resource{ID: principalID(sp), UID: resource.NewUID(), Type: typePrincipal, CreatedAt: now}
	if old != nil {
		r = old.Clone()
	}
	r.ModifiedAt = now
	sealed, err := json.Marshal(credentials{sp.Secrets, sp.Certificates}) //nolint:musttag // by the names in Go: only this program reads it
	if err != nil {
		return nil, fmt.Errorf("encode credentials: %w", err)
	}
	r.Secret(secretCredentials, string(sealed))
	public := sp
	public.Secrets, public.Certificates = nil, nil
	return r, resource.Encode(r, &public)
}

func principalOf(r *resource.Resource) (access.ServicePrincipal, error) {
	sp, err := resource.Properties[access.ServicePrincipal](r)
	if err != nil {
		return access.ServicePrincipal{}, fmt.Errorf("decode %s: %w", r.ID, err)
	}
	var c credentials
	if err := json.Unmarshal([]byte(r.Secrets[secretCredentials]), &c); err != nil { //nolint:musttag // as it was written
		return access.ServicePrincipal{}, fmt.Errorf("decode credentials of %s: %w", r.ID, err)
	}
	sp.Secrets, sp.Certificates, sp.Revision = c.Secrets, c.Certificates, r.Revision
	return *sp, nil
}
