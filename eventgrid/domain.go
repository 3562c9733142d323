package eventgrid

import (
	"github.com/intertie/intertie/resource"
)

// Domain is a publish endpoint for very many topics: each event names its own.
type Domain struct {
	Topic
	AutoCreate *bool `json:"autoCreateTopicWithFirstSubscription" arm:"patch" known:"2021-06-01-preview.."`
	AutoDelete *bool `json:"autoDeleteTopicWithLastSubscription" arm:"patch" known:"2021-06-01-preview.."`
}

func (d *Domain) autoCreates() bool { return d.AutoCreate == nil || *d.AutoCreate }
func (d *Domain) autoDeletes() bool { return d.AutoDelete == nil || *d.AutoDelete }

func (r *Rules) domainKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: TypeDomain, Names: namePattern, NameRule: nameRule,
		Tracked: true, Identity: true, Extra: []string{extraSKU}, Versions: domainVersions,
		Status:  resource.Status{Put: 201},
		Actions: keyActions(),
	}, resource.Hooks[Domain]{
		Prepare: func(w *resource.Write, res *resource.Resource, next, _ *Domain) error {
			on := func(b *bool) *bool {
				if b == nil {
					return new(true)
				}
				return b
			}
			next.AutoCreate, next.AutoDelete = on(next.AutoCreate), on(next.AutoDelete)
			return r.prepareTopic(w, res, &next.Topic)
		},
		Delete:  deleteTopic[Domain],
		Present: func(r *resource.Resource, p *Domain, v resource.View) { p.Endpoint = endpoint(r, v) },
	})
}
