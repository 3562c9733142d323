package eventgrid

import (
	"regexp"

	"github.com/google/uuid"

	"github.com/intertie/intertie/resource"
)

// SystemTopic carries the events that a resource of Azure raises, its source.
type SystemTopic struct {
	ProvisioningState string `json:"provisioningState" arm:"computed"`
	Source            string `json:"source" arm:"create"`
	TopicType         string `json:"topicType" arm:"create"`
	MetricResourceID  string `json:"metricResourceId" arm:"computed"`
}

// globalLocation is the location of what belongs to no region.
const globalLocation = "global"

// secretHidden marks a system topic that came with an extension subscription. It
// is a secret because no client has a say in it.
const secretHidden = "hidden"

var longNamePattern = regexp.MustCompile(`^[-a-zA-Z0-9]{3,128}$`)

const longNameRule = "3 to 128 letters, digits and hyphens"

func (r *Rules) systemTopicKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: TypeSystemTopic, Names: longNamePattern, NameRule: longNameRule,
		Tracked: true, Identity: true, Versions: systemTopicVersions,
	}, resource.Hooks[SystemTopic]{
		Prepare: r.prepareSystemTopic,
		Delete:  deleteTopic[SystemTopic],
	})
}

func (r *Rules) prepareSystemTopic(w *resource.Write, res *resource.Resource, next, old *SystemTopic) error {
	next.ProvisioningState = Succeeded
	if old != nil {
		if !w.Patch {
			res.Secret(secretHidden, "") // somebody wants it for itself
		}
		return nil
	}
	if next.Source == "" || next.TopicType == "" {
		return resource.Invalid("Invalid system topic request: the properties 'source' and 'topicType' are required.")
	}
	source, err := resource.ParseID(next.Source)
	if err != nil || source.IsRoot() || source.Disguised() {
		return resource.Invalid("Invalid system topic request: source '%s' is not the id of a resource.", next.Source)
	}
	t := topicTypeNamed(next.TopicType)
	if t == nil {
		return resource.Invalid("Invalid system topic request: the topic type '%s' is not known.", next.TopicType)
	}
	if !equalFold(t.Source, source.Type()) || equalFold(source.Namespace, Namespace) {
		return resource.Invalid("Invalid system topic request: the topic type '%s' does not fit the source '%s', which is of type '%s'.", t.Name, source, source.Type())
	}
	if err := r.checkSource(w, res, t, source); err != nil {
		return err
	}
	if other := systemTopicOf(w.Tx, source, t.Name); other != nil {
		return resource.Invalid("Invalid system topic request: Only one system topic is allowed per source; '%s' has the system topic '%s'.", source, other.ID)
	}
	next.MetricResourceID = uuid.NewString()
	return nil
}

// checkSource admits a source that is there, of the same subscription, in the
// same place, and whose events the caller may have.
func (r *Rules) checkSource(w *resource.Write, res *resource.Resource, t *TopicType, source resource.ID) error {
	if !equalFold(source.Subscription, w.ID.Subscription) {
		return resource.Invalid("Invalid system topic request: the source '%s' lies in another subscription than the system topic.", source)
	}
	if err := w.Require(TypeEventSubscription+"/write", source); err != nil {
		return err
	}
	stored, ok := w.Tx.Get(source)
	want := ""
	switch {
	case source.Namespace == "" && !ok && source.Group == "":
		return resource.Errorf(resource.SubscriptionNotFound, "The subscription '%s' could not be found.", source.Subscription)
	case source.Namespace == "" && !ok:
		return resource.Errorf(resource.ResourceGroupNotFound, "Resource group '%s' could not be found.", source.Group)
	case source.Namespace == "":
		want = globalLocation
	case ok && stored.Location != "":
		want = stored.Location
	}
	switch {
	case want == "" && t.Global && res.Location == globalLocation:
		return nil
	case want == "" && res.Location == globalLocation:
		return resource.Invalid("Invalid system topic request: the location of a system topic must be that of its source; sources of topic type '%s' have a region.", t.Name)
	case want == "":
		return r.checkRegion(res.Location, TypeSystemTopic)
	case res.Location != want:
		return resource.Invalid("Invalid system topic request: the location of a system topic must be that of its source, '%s', not '%s'.", want, res.Location)
	}
	return nil
}

// systemTopicOf returns the system topic of a source. There is one for each pair
// of source and topic type; only subscriptions and groups have several types.
func systemTopicOf(tx resource.Tx, source resource.ID, topicType string) *resource.Resource {
	for _, r := range tx.List(TypeSystemTopic, resource.SubscriptionID(source.Subscription)) {
		p, err := resource.Properties[SystemTopic](r)
		if err != nil || !equalFold(p.TopicType, topicType) {
			continue
		}
		if id, err := resource.ParseID(p.Source); err == nil && id.Equal(source) {
			return r
		}
	}
	return nil
}
