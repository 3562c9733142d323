package eventgrid

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

func TestTopicTypeCatalogue(t *testing.T) {
	all := TopicTypes()
	names := map[string]bool{}
	for _, typ := range all {
		key := strings.ToLower(typ.Name)
		if names[key] {
			t.Errorf("%s is there twice", typ.Name)
		}
		names[key] = true
		if typ.DisplayName == "" || typ.Description == "" || len(typ.Scopes) == 0 || typ.Provider() == typ.Source {
			t.Errorf("%s is incomplete: %+v", typ.Name, typ)
		}
		for _, e := range typ.Events {
			if !regexp.MustCompile(`^Microsoft(\.[A-Za-z0-9]+){2}$`).MatchString(e.Name) || e.Description == "" || e.DisplayName == "" {
				t.Errorf("%s: %+v", typ.Name, e)
			}
		}
		// Only Event Grid's own topics have events of the user's.
		if own := typ.Provider() == Namespace; own != (len(typ.defaultSet()) == 0) {
			t.Errorf("%s: default set %v", typ.Name, typ.defaultSet())
		}
		if topicTypeNamed(strings.ToUpper(typ.Name)).Name != typ.Name {
			t.Errorf("%s is not found", typ.Name)
		}
	}
	if len(all) != 23 {
		t.Errorf("%d topic types", len(all))
	}
	all[0].Name = "changed"
	if topicTypes[0].Name == "changed" {
		t.Error("the catalogue can be changed from outside")
	}
}

func TestOneTopicTypeInFull(t *testing.T) {
	storage := topicTypeNamed("Microsoft.Storage.StorageAccounts")
	want := EventType{Name: "Microsoft.Storage.BlobCreated", DisplayName: "Blob Created", Description: "A blob was created or replaced", InDefaultSet: true}
	if diff := cmp.Diff(want, storage.Events[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"}, storage.defaultSet()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{
		"Microsoft.Storage.StorageAccounts":  "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroup}/providers/Microsoft.Storage/storageAccounts/{name}",
		"Microsoft.Resources.Subscriptions":  "/subscriptions/{subscriptionId}",
		"Microsoft.Resources.ResourceGroups": "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroup}",
	} {
		if got := topicTypeNamed(name).SourceFormat(); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := topicTypeOfSource(resource.SubscriptionID(customerSub)).Name; got != "Microsoft.Resources.Subscriptions" {
		t.Errorf("a subscription is a source of %s", got)
	}
	for in, want := range map[string]string{"BlobCreated": "Blob Created", "SMSReceived": "SMS Received", "APIReleaseUpdated": "API Release Updated", "FarmChangedV2": "Farm Changed V2"} {
		if got := spaced(in); got != want {
			t.Errorf("%s: %q", in, got)
		}
	}
}
