package eventgrid

import (
	"time"

	"github.com/intertie/intertie/resource"
)

// Due returns when time alone will change a resource: a channel or partner
// topic that nobody activated, an event subscription that ends, a consent that
// does not come. The zero time means never.
func Due(r *resource.Resource) time.Time {
	switch r.Type {
	case TypePartnerTopic:
		if p, err := resource.Properties[PartnerTopic](r); err == nil && p.Expires != nil && p.ActivationState == NeverActivated {
			return p.Expires.Std()
		}
	case TypePartnerTopicEventSubscription:
		p, err := resource.Properties[EventSubscription](r)
		if err != nil {
			return time.Time{}
		}
		due := time.Time{}
		if p.Expires != nil {
			due = p.Expires.Std()
		}
		if at := consentDeadline(r, p); !at.IsZero() && (due.IsZero() || at.Before(due)) {
			due = at
		}
		return due
	}
	return time.Time{}
}

// Expire makes the change that was due. It does nothing when the resource was
// changed or removed meanwhile.
func (r *Rules) Expire(tx resource.Tx, id resource.ID, now time.Time) error {
	res, ok := tx.Get(id)
	if !ok {
		return nil
	}
	if at := Due(res); at.IsZero() || now.Before(at) {
		return nil
	}
	if res.Type == TypePartnerTopic {
		p, err := resource.Properties[PartnerTopic](res)
		if err != nil {
			return err
		}
		if err := deletePartnerTopic(&resource.Deletion{Tx: tx, Now: now, ByService: true}, res, p); err != nil {
			return err
		}
		tx.Delete(id)
		return nil
	}
	p, err := resource.Properties[EventSubscription](res)
	if err != nil {
		return err
	}
	if p.Expires != nil && !now.Before(p.Expires.Std()) {
		tx.Delete(id)
		return nil
	}
	return change(tx, res, res.ModifiedBy, now, func(p *EventSubscription) { p.ProvisioningState = Failed })
}

func consentDeadline(r *resource.Resource, p *EventSubscription) time.Time {
	if p.ProvisioningState != AwaitingManualAction {
		return time.Time{}
	}
	pending, _ := pendingOf(r) // without one the deadline is zero: never
	return pending.Deadline
}
