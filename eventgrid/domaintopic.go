package eventgrid

import (
	"time"

	"github.com/intertie/intertie/resource"
)

// DomainTopic is one stream within a domain. It has nothing to set.
type DomainTopic struct {
	ProvisioningState string `json:"provisioningState" arm:"computed"`
}

func (r *Rules) domainTopicKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: TypeDomainTopic, Names: longNamePattern, NameRule: longNameRule,
		Versions: domainVersions, Status: resource.Status{Put: 201},
	}, resource.Hooks[DomainTopic]{
		Prepare: func(w *resource.Write, _ *resource.Resource, next, old *DomainTopic) error {
			next.ProvisioningState = Succeeded
			if old != nil {
				return nil
			}
			domain, ok := w.Tx.Get(w.ID.Parent())
			if !ok {
				return parentNotFound("domain", w.ID.Parent())
			}
			return r.checkDomainRoom(w.Tx, domain)
		},
		Delete: deleteTopic[DomainTopic],
	})
}

func (r *Rules) checkDomainRoom(tx resource.Tx, domain *resource.Resource) error {
	if limit := r.limits().TopicsPerDomain; len(tx.List(TypeDomainTopic, domain.ID)) >= limit {
		return resource.Errorf(resource.Conflict, "The domain '%s' has %d topics, as many as it can have. Delete one first.", domain.ID.Name(), limit)
	}
	return nil
}

// autoCreateDomainTopic creates a domain topic for its first subscription.
func (r *Rules) autoCreateDomainTopic(tx resource.Tx, id resource.ID, caller string, now time.Time) (resource.ID, error) {
	domain, ok := tx.Get(id.Parent())
	if !ok {
		return resource.ID{}, parentNotFound("domain", id.Parent())
	}
	p, err := resource.Properties[Domain](domain)
	if err != nil {
		return resource.ID{}, err
	}
	switch {
	case !p.autoCreates():
		return resource.ID{}, resource.Errorf(resource.ParentNotFound,
			"The domain topic '%s' could not be found, and the domain '%s' has autoCreateTopicWithFirstSubscription switched off.", id.Name(), domain.ID.Name())
	case !longNamePattern.MatchString(id.Name()):
		return resource.ID{}, resource.Invalid("The name '%s' of the resource of type '%s' is invalid: it must consist of %s.", id.Name(), TypeDomainTopic, longNameRule)
	}
	if err := r.checkDomainRoom(tx, domain); err != nil {
		return resource.ID{}, err
	}
	made := domain.ID.Child("topics", id.Name())
	return made, put(tx, newResource(made, TypeDomainTopic, "", caller, now), &DomainTopic{ProvisioningState: Succeeded})
}
