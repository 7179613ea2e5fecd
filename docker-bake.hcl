# docker buildx bake            the image for this machine
# docker buildx bake release    for both kinds of processors, pushed: REGISTRY=registry.example/team/ docker buildx bake release
# The loops over packets are compiled in the build, for the kind of processor that it runs on: build each platform on
# a machine of its kind (docker buildx create --append), or the first start compiles them again.
variable "VERSION" {
  default = "0.1.0"
}

variable "REGISTRY" {
  default = ""
}

group "default" {
  targets = ["yocho"]
}

target "yocho" {
  context    = "."
  dockerfile = "Dockerfile"
  tags       = ["${REGISTRY}yocho:${VERSION}"]
  labels = {
    "org.opencontainers.image.title"    = "yocho"
    "org.opencontainers.image.version"  = "${VERSION}"
    "org.opencontainers.image.licenses" = "Apache-2.0"
  }
}

target "release" {
  inherits  = ["yocho"]
  platforms = ["linux/amd64", "linux/arm64"]
  output    = ["type=registry"]
  attest    = ["type=provenance,mode=max", "type=sbom"]
}
