package platform_test

import (
	"errors"
	"fmt"

	"github.com/mpull/mpull/engine/platform"
)

func ExampleChoose() {
	host := platform.Platform{OS: "linux", Architecture: "amd64", Variant: "v3"}
	requests, err := platform.ParseList("native,linux/arm", host)
	if err != nil {
		fmt.Println(err)
		return
	}
	candidates := []platform.Candidate{
		{Platform: &platform.Platform{OS: "linux", Architecture: "arm", Variant: "v8"}},
		{Platform: &platform.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}},
		{Platform: &platform.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}},
		{Platform: &platform.Platform{OS: "unknown", Architecture: "unknown"}},
	}
	d, err := platform.Choose(requests, candidates)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range d.Attempts {
		fmt.Printf("%s:\n", a.Request)
		for i, v := range a.Verdicts {
			fmt.Printf("  %s %s: %s\n", candidates[i].Platform, v.Outcome, v.Rule)
		}
	}
	fmt.Println(d.Rule.Text())
	// Output:
	// linux/amd64:
	//   linux/arm/v8 refused: other-architecture
	//   linux/arm/v6 refused: other-architecture
	//   linux/arm/v7 refused: other-architecture
	//   unknown/unknown refused: unknown-platform
	// linux/arm:
	//   linux/arm/v8 refused: stronger-variant
	//   linux/arm/v6 passed over: weaker-variant
	//   linux/arm/v7 taken: arm-is-v7
	//   unknown/unknown refused: unknown-platform
	// arm without a variant means arm/v7, as in podman
}

func ExampleNotFoundError() {
	host := platform.Platform{OS: "linux", Architecture: "amd64"}
	r, err := platform.FromFlags("linux", "arm", "v5", host)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = platform.Choose([]platform.Request{r}, []platform.Candidate{
		{Platform: &platform.Platform{OS: "linux", Architecture: "amd64"}},
		{Platform: &platform.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}},
	})
	fmt.Println(err)
	var notFound *platform.NotFoundError
	if errors.As(err, &notFound) && notFound.Nearest != nil {
		fmt.Println("nearest:", notFound.Nearest)
	}
	// Output:
	// no linux/arm/v5 in this image; it offers linux/amd64, linux/arm/v6
	// nearest: linux/arm/v6
}

func ExampleParse() {
	p, err := platform.Parse("Linux/armhf")
	fmt.Println(p, err)
	_, err = platform.Parse("linux")
	fmt.Println(err)
	// Output:
	// linux/arm/v7 <nil>
	// platform "linux" is not os/arch or os/arch/variant, as in linux/arm/v7
}

func ExamplePlatform_Same() {
	config := platform.Platform{OS: "linux", Architecture: "arm"}
	fmt.Println(config.Same(platform.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}))
	fmt.Println(config.Same(platform.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}))
	// Output:
	// true
	// false
}

func ExampleParsePattern() {
	p, err := platform.ParsePattern("linux/arm")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Match(platform.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}))
	fmt.Println(p.Match(platform.Platform{OS: "linux", Architecture: "arm64"}))
	// Output:
	// true
	// false
}
