package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/arm"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// typePrincipal is how service principals lie in the store: an internal type of
// package resource, so no management path leads to them. A record is a principal
// only at the root of the tenant: see isPrincipal.
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
	if c.Old != nil && isPrincipal(c.Old.ID) {
		object := strings.ToLower(c.Old.ID.Name())
		old := d.byObject[object]
		app := strings.ToLower(old.AppID)
		if d.byApp[app].ObjectID == old.ObjectID { // else another one stands for the application already
			delete(d.byApp, app)
		}
		delete(d.byObject, object)
	}
	if c.New == nil || !isPrincipal(c.New.ID) {
		return nil
	}
	object := strings.ToLower(c.New.ID.Name())
	sp, err := principalOf(c.New)
	if err != nil {
		// Its id stays taken: a token of another issuer that names it would
		// otherwise get its roles.
		d.byObject[object] = access.ServicePrincipal{ObjectID: object, Disabled: true, Revision: c.New.Revision}
		return err
	}
	d.byApp[strings.ToLower(sp.AppID)] = sp
	d.byObject[object] = sp
	return nil
}

// isPrincipal reports whether a record is a principal, by its whole id: one of
// that type anywhere else was put there by somebody.
func isPrincipal(id resource.ID) bool {
	return len(id.Names) == 1 && id.Equal(resource.ID{}.Provider(typePrincipal, id.Name()))
}

// List implements [graph.Directory]. It leaves out what cannot be read, which
// observe has told of.
func (d *directory) List(context.Context) ([]access.ServicePrincipal, error) {
	var out []access.ServicePrincipal
	for _, r := range d.store.List(typePrincipal, resource.ID{}) {
		if !isPrincipal(r.ID) {
			continue
		}
		if sp, err := principalOf(r); err == nil {
			out = append(out, sp)
		}
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

// assignmentsAtOnce bounds the role assignments that one transaction of Remove
// deletes.
const assignmentsAtOnce = 100

// Remove implements [graph.Directory]. The roles of the principal go with it, in
// several transactions if there are many: nobody may get them who is called the same
// by another issuer.
func (d *directory) Remove(ctx context.Context, sp access.ServicePrincipal, instead *access.ServicePrincipal) error {
	id := principalID(sp)
	for gone := false; !gone; {
		err := d.store.Commit(ctx, func(tx resource.Tx) error {
			old, ok := tx.Get(id)
			if !ok || old.Revision != sp.Revision {
				return access.ErrConflict
			}
			roles := assignmentsOf(tx, sp.ObjectID)
			for _, r := range roles[:min(len(roles), assignmentsAtOnce)] {
				tx.Delete(r.ID)
			}
			if gone = len(roles) <= assignmentsAtOnce; !gone {
				return nil
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
		if err != nil {
			return err
		}
	}
	return nil
}

// assignmentsOf returns the role assignments of a principal that can be read.
func assignmentsOf(tx resource.Reader, objectID string) []*resource.Resource {
	return slices.DeleteFunc(tx.List(resource.TypeRoleAssignment, resource.ID{}), func(r *resource.Resource) bool {
		a, err := arm.AssignmentOf(r)
		return err != nil || !strings.EqualFold(a.PrincipalID, objectID)
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
	if !strings.EqualFold(sp.ObjectID, r.ID.Name()) {
		return access.ServicePrincipal{}, fmt.Errorf("the record %s is of the principal %q", r.ID, sp.ObjectID)
	}
	sp.Secrets, sp.Certificates, sp.Revision = c.Secrets, c.Certificates, r.Revision
	return *sp, nil
}
