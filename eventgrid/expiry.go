package eventgrid

import (
	"time"

	"github.com/intertie/intertie/resource"
)

// Due returns when time alone will change a resource: a partner topic that nobody
// activated, an event subscription that ends, a consent that does not come. The
// zero time means never.
func (r *Rules) Due(res *resource.Resource) time.Time {
	k := r.kind(res.Type)
	if k == nil {
		return time.Time{}
	}
	return k.Due(res)
}

// Expire makes the change that was due. It does nothing when the resource was
// changed or removed meanwhile. One with very much in it is still due afterwards:
// then only a part is gone, and the caller commits and calls again.
func (r *Rules) Expire(tx resource.Tx, id resource.ID, now time.Time) error {
	res, ok := tx.Get(id)
	if !ok {
		return nil
	}
	if at := r.Due(res); at.IsZero() || now.Before(at) {
		return nil
	}
	k := r.kind(res.Type)
	d := &resource.Deletion{Tx: tx, Now: now, ByService: true}
	stays, err := k.Expire(d, res)
	if err != nil || stays {
		return err
	}
	_, err = k.Remove(d, res)
	return err
}

// dueOfEventSubscription: a subscription ends by itself, or its endpoint's consent
// does not come in time, whichever is first.
func dueOfEventSubscription(r *resource.Resource, p *EventSubscription) time.Time {
	due := time.Time{}
	if p.Expires != nil {
		due = p.Expires.Std()
	}
	if at := consentDeadline(r, p); !at.IsZero() && (due.IsZero() || at.Before(due)) {
		due = at
	}
	return due
}

func expireEventSubscription(d *resource.Deletion, r *resource.Resource, p *EventSubscription) (stays bool, err error) {
	if p.Expires != nil && !d.Now.Before(p.Expires.Std()) {
		return false, nil
	}
	return true, change(d.Tx, r, r.ModifiedBy, d.Now, func(p *EventSubscription) { p.ProvisioningState = Failed })
}

func consentDeadline(r *resource.Resource, p *EventSubscription) time.Time {
	if p.ProvisioningState != AwaitingManualAction {
		return time.Time{}
	}
	pending, _ := pendingOf(r) // without one the deadline is zero: never
	return pending.Deadline
}
