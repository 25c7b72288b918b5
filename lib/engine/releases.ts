import { Problem } from "../core/problem.ts";

/** Built for the CPU alone, or for NVIDIA GPUs as well. */
export type Flavour = "cpu" | "gpu";

/** One Python wheel, pinned: pip fetches it from whatever index the person configured. */
export interface Wheel {
  readonly project: string;
  readonly version: string;
  /** pip's name of the platform, for example `manylinux_2_27_x86_64`. */
  readonly platform: string;
  readonly sha256: string;
  /** What to unpack of it, as shell patterns in which `*` also matches `/`. Each must match something. */
  readonly members: readonly string[];
}

/** What makes a libtensorflow that can be loaded, and what it costs. */
export interface Release {
  readonly version: string;
  readonly flavour: Flavour;
  readonly wheels: readonly Wheel[];
  readonly downloadBytes: number;
  readonly unpackedBytes: number;
}

const VERSION = "2.21.0";

/** The two libraries of a wheel. They need nothing else but the C and C++ runtimes of the system. */
const LINUX_LIBRARIES = ["tensorflow/libtensorflow_framework.so.2", "tensorflow/libtensorflow_cc.so.2"];
const MAC_LIBRARIES = ["tensorflow/libtensorflow_framework.2.dylib", "tensorflow/libtensorflow_cc.2.dylib"];

const releases: Readonly<Record<string, Release>> = {
  "linux x86_64 cpu": cpu(
    {
      project: "tensorflow-cpu",
      platform: "manylinux_2_27_x86_64",
      sha256: "dcc8afd32930e42d5296b6ee19078b773706830af4ea97fbe503b9f5e0f820cb",
      members: LINUX_LIBRARIES,
    },
    274_000_871,
    853_308_936,
  ),
  "linux aarch64 cpu": cpu(
    {
      project: "tensorflow",
      platform: "manylinux_2_27_aarch64",
      sha256: "b07d15737406533898e36c7ef7944b1be18e9028dc521b9229952c537bbc5552",
      members: LINUX_LIBRARIES,
    },
    281_946_471,
    883_062_208,
  ),
  "darwin aarch64 cpu": cpu(
    {
      project: "tensorflow",
      platform: "macosx_12_0_arm64",
      sha256: "56ecd7d47429acbe1df2694d50b75bf9fc3995ac92cb367cd9af6c4780ead712",
      members: MAC_LIBRARIES,
    },
    223_488_205,
    740_805_624,
  ),
  "linux x86_64 gpu": {
    version: VERSION,
    flavour: "gpu",
    wheels: [
      {
        project: "tensorflow",
        version: VERSION,
        platform: "manylinux_2_27_x86_64",
        sha256: "b3b95643c4e70eb925839938fb35cbe142f317ec84af6844ee61513713bb13c0",
        members: LINUX_LIBRARIES,
      },
      ...nvidiaWheels(),
    ],
    // Rounded up: the indexes give names and hashes of these wheels without a download, but not their sizes.
    downloadBytes: 4_000_000_000,
    unpackedBytes: 7_000_000_000,
  },
};

/** The pinned release for this machine. @throws {Problem} where no wheel holds a libtensorflow for it. */
export function releaseFor(
  flavour: Flavour,
  os: string = Deno.build.os,
  architecture: string = Deno.build.arch,
): Release {
  const release = releases[`${os} ${architecture} ${flavour}`];
  if (release) return release;
  throw new Problem(
    `Cannot install libtensorflow ${VERSION} (${flavour}): no Python wheel holds one for ${os} ${architecture}; ` +
      "point NFM_LIBTENSORFLOW at a copy of your own, or use --engine wasm",
  );
}

/** For example `libtensorflow-2.21.0-cpu`: the release's folder in the cache. */
export function releaseName(release: Release): string {
  return `libtensorflow-${release.version}-${release.flavour}`;
}

function cpu(wheel: Omit<Wheel, "version">, downloadBytes: number, unpackedBytes: number): Release {
  return { version: VERSION, flavour: "cpu", wheels: [{ ...wheel, version: VERSION }], downloadBytes, unpackedBytes };
}

/** What `tensorflow[and-cuda]` 2.21.0 requires, at the newest versions that its metadata allows. */
function nvidiaWheels(): Wheel[] {
  const nvidia = (name: string, version: string, platform: string, sha256: string, extra: readonly string[] = []) => ({
    project: `nvidia-${name}-cu12`,
    version,
    platform,
    sha256,
    members: extra.length > 0 ? extra : ["nvidia/*/lib/*.so*"],
  });
  const compiler = ["nvidia/cuda_nvcc/bin/ptxas", "nvidia/cuda_nvcc/nvvm/libdevice/*"];
  const linux = (minor: number) => `manylinux_2_${minor}_x86_64`;
  return [
    nvidia("cublas", "12.9.3.13", linux(27), "d7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72"),
    nvidia("cuda-cupti", "12.9.79", linux(25), "096bcf334f13e1984ba36685ad4c1d6347db214de03dbb6eebb237b41d9d934f"),
    nvidia(
      "cuda-nvcc",
      "12.9.86",
      linux(12),
      "5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0",
      compiler,
    ),
    nvidia("cuda-nvrtc", "12.9.86", linux(12), "210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4"),
    nvidia("cuda-runtime", "12.9.79", linux(17), "25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3"),
    nvidia("cudnn", "9.28.0.42", linux(27), "9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375"),
    nvidia("cufft", "11.4.1.4", linux(17), "c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28"),
    nvidia("curand", "10.3.10.19", linux(27), "49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e"),
    nvidia("cusolver", "11.7.5.82", linux(27), "15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88"),
    nvidia("cusparse", "12.5.10.65", linux(17), "73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78"),
    nvidia("nccl", "2.32.3", linux(27), "bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c"),
    nvidia("nvjitlink", "12.9.86", linux(12), "e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9"),
  ];
}
