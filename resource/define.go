package resource

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// Hooks are the rules of one kind, typed by its properties P. Which member of P
// may be set when is declared by `arm` tags on P (see settable.go).
type Hooks[P any] struct {
	// Prepare validates next against old (nil when created), fills defaults and
	// computed members, and makes the changes that go with it.
	Prepare func(w *Write, r *Resource, next, old *P) error
	// Consult: see [Kind].
	Consult func(ctx context.Context, r *Resource, next, old *P) (any, error)
	// Delete: see [Kind].
	Delete func(d *Deletion, r *Resource, p *P) error
	// Present changes a private copy of the properties into what GET shows.
	Present func(r *Resource, p *P, v View)
	// Due: see [Kind].
	Due func(r *Resource, p *P) time.Time
	// Expire: see [Kind]. Nil where resources that are due have to go.
	Expire func(d *Deletion, r *Resource, p *P) (stays bool, err error)
}

// Define makes a kind from its data and its hooks.
func Define[P any](spec Spec, hooks Hooks[P]) *Kind {
	k := &Kind{Spec: spec}
	k.Write = func(w *Write) (*Resource, error) { return write(&spec, hooks, w) }
	if hooks.Consult != nil {
		k.Consult = func(ctx context.Context, next, old *Resource) (any, error) {
			p, before, err := both[P](next, old)
			if err != nil {
				return nil, err
			}
			return hooks.Consult(ctx, next, p, before)
		}
	}
	k.Delete = func(d *Deletion, r *Resource) error {
		if hooks.Delete == nil {
			return nil
		}
		p, err := Properties[P](r)
		if err != nil {
			return fmt.Errorf("decode %s: %w", r.ID, err)
		}
		return hooks.Delete(d, r, p)
	}
	k.Present = func(r *Resource, v View) (any, error) {
		p, err := Properties[P](r)
		if err != nil {
			return nil, fmt.Errorf("decode %s: %w", r.ID, err)
		}
		if hooks.Present != nil {
			hooks.Present(r, p, v)
		}
		return p, nil
	}
	k.Due = func(r *Resource) time.Time {
		if hooks.Due == nil {
			return time.Time{}
		}
		// One that cannot be read is not due: better kept than wrongly removed.
		p, err := Properties[P](r)
		if err != nil {
			return time.Time{}
		}
		return hooks.Due(r, p)
	}
	k.Expire = func(d *Deletion, r *Resource) (bool, error) {
		if hooks.Expire == nil {
			return false, nil
		}
		p, err := Properties[P](r)
		if err != nil {
			return false, fmt.Errorf("decode %s: %w", r.ID, err)
		}
		return hooks.Expire(d, r, p)
	}
	return k
}

func write[P any](spec *Spec, hooks Hooks[P], w *Write) (*Resource, error) {
	next, old := new(P), (*P)(nil)
	r := &Resource{ID: w.ID, UID: NewUID(), Type: spec.Type, CreatedAt: w.Now, CreatedBy: w.Caller}
	if w.Old != nil {
		var err error
		if old, err = Properties[P](w.Old); err != nil {
			return nil, fmt.Errorf("decode %s: %w", w.ID, err)
		}
		r = w.Old.Clone()
		if w.Patch {
			// Decoding over the stored version changes only what was sent.
			if next, err = Properties[P](w.Old); err != nil {
				return nil, fmt.Errorf("decode %s: %w", w.ID, err)
			}
		}
	}
	r.ModifiedAt, r.ModifiedBy = w.Now, w.Caller
	if err := decodeProperties(w.Body.Properties, next); err != nil {
		return nil, err
	}
	before := reflect.Value{}
	if old != nil {
		before = reflect.ValueOf(old).Elem()
	}
	if err := settle(reflect.ValueOf(next).Elem(), before, w.Patch, "properties"); err != nil {
		return nil, err
	}
	if old != nil {
		Keep(next, old, w.APIVersion)
	}
	if err := envelope(spec, r, w); err != nil {
		return nil, err
	}
	if hooks.Prepare != nil {
		if err := hooks.Prepare(w, r, next, old); err != nil {
			return nil, err
		}
	}
	return r, Encode(r, next)
}

// Encode stores properties into a resource that is being built.
func Encode[P any](r *Resource, p *P) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode properties of %s: %w", r.ID, err)
	}
	r.Properties = data
	return nil
}

func decodeProperties(data []byte, into any) error { return DecodeMember("properties", data, into) }

func both[P any](next, old *Resource) (*P, *P, error) {
	p, err := Properties[P](next)
	if err != nil {
		return nil, nil, fmt.Errorf("decode %s: %w", next.ID, err)
	}
	if old == nil {
		return p, nil, nil
	}
	before, err := Properties[P](old)
	if err != nil {
		return nil, nil, fmt.Errorf("decode %s: %w", old.ID, err)
	}
	return p, before, nil
}
