"""Computes the GPU memory of a profile from the shapes of the model; nothing is measured."""

from dataclasses import dataclass

GB = 1e9
ACTIVATIONS = 2.0 * GB  # of each GPU: activations, CUDA graphs, the driver's context
GROUP = 128  # weights that share a scale of 16 bits and a zero of 4, in AWQ and GPTQ
ANSWER = 5000  # tokens: passages, instructions, question and answer


@dataclass(frozen=True, slots=True)
class Shape:
    """`parameters` in billions. All of these have heads of 128 numbers."""

    name: str
    parameters: float
    layers: int
    heads: int
    vocabulary: int
    hidden: int

    @property
    def cache(self) -> int:
        """Bytes of a token's keys and values, in 16 bits."""
        return 2 * self.layers * self.heads * 128 * 2

    def weights(self, bits: int) -> float:
        """Return the bytes of the weights. Input and output embeddings are not quantised."""
        words = 2 * self.vocabulary * self.hidden
        each = 4 + 20 / GROUP if bits == 4 else bits
        return words * 2 + (self.parameters * 1e9 - words) * each / 8


@dataclass(frozen=True, slots=True)
class Room:
    """The hardware of a profile. `share`: its gpu-memory-utilization."""

    shape: Shape
    kind: str
    bits: int
    gpus: int
    gigabytes: int
    share: float

    @property
    def tokens(self) -> int:
        """Return the number of tokens that fit into memory next to the weights."""
        left = self.gpus * (self.gigabytes * GB * self.share - ACTIVATIONS) - self.shape.weights(self.bits)
        return int(left / self.shape.cache)

    def row(self, profile: str) -> str:
        gpus = f"{self.gpus} of {self.gigabytes} GB"
        weights = f"{self.shape.weights(self.bits) / GB:.1f} GB"
        return (
            f"| `{profile}` | {self.shape.name}, {self.kind} | {gpus} | {weights} | "
            f"{self.shape.cache // 1024} KiB | {self.tokens // 1000},000 | {self.tokens // ANSWER} |"
        )


_MISTRAL = Shape("Mistral 7B", 7.25, 32, 8, 32768, 4096)
_SMALL = Shape("Mistral Small 24B", 24.0, 40, 8, 131072, 5120)
_MIXTRAL = Shape("Mixtral 8x7B", 46.7, 32, 8, 32000, 4096)
_LLAMA = Shape("Llama 3.1 8B", 8.03, 32, 8, 128256, 4096)
_LARGE = Shape("Llama 3.3 70B", 70.6, 80, 8, 128256, 8192)
ROOMS = {
    "mistral-7b": Room(_MISTRAL, "bfloat16", 16, 1, 24, 0.9),
    "mistral-7b-awq": Room(_MISTRAL, "AWQ", 4, 1, 12, 0.9),
    "llama-3.1-8b": Room(_LLAMA, "bfloat16", 16, 1, 24, 0.9),
    "mistral-small": Room(_SMALL, "FP8", 8, 1, 48, 0.92),
    "mixtral-8x7b": Room(_MIXTRAL, "bfloat16", 16, 2, 80, 0.9),
    "mixtral-8x7b-gptq": Room(_MIXTRAL, "GPTQ", 4, 2, 24, 0.9),
    "llama-3.3-70b-fp8": Room(_LARGE, "FP8", 8, 2, 80, 0.92),
    "llama-3.3-70b-awq": Room(_LARGE, "AWQ", 4, 1, 80, 0.92),
}
