import { cpu } from "./device.ts";
import { addFlag, setDefault, xlaOptions } from "./flags.ts";

/** The C functions of libtensorflow that the engine calls, bound by `Deno.dlopen` (no compiler, no install script). */
const pointer = "pointer" as const;
const buffer = "buffer" as const;

const functions = {
  TF_NewStatus: { parameters: [], result: pointer },
  TF_DeleteStatus: { parameters: [pointer], result: "void" },
  TF_GetCode: { parameters: [pointer], result: "i32" },
  TF_Message: { parameters: [pointer], result: pointer },
  TF_Version: { parameters: [], result: pointer },
  TF_NewBuffer: { parameters: [], result: pointer },
  TF_DeleteBuffer: { parameters: [pointer], result: "void" },
  TF_AllocateTensor: { parameters: ["i32", buffer, "i32", "usize"], result: pointer },
  TF_TensorData: { parameters: [pointer], result: pointer },
  TF_TensorByteSize: { parameters: [pointer], result: "usize" },
  TF_DeleteTensor: { parameters: [pointer], result: "void" },
  TFE_NewContextOptions: { parameters: [], result: pointer },
  TFE_ContextOptionsSetConfig: { parameters: [pointer, buffer, "usize", pointer], result: "void" },
  TFE_NewContext: { parameters: [pointer, pointer], result: pointer },
  TFE_ContextListDevices: { parameters: [pointer, pointer], result: pointer },
  TF_DeviceListCount: { parameters: [pointer], result: "i32" },
  TF_DeviceListType: { parameters: [pointer, "i32", pointer], result: pointer },
  TF_DeviceListName: { parameters: [pointer, "i32", pointer], result: pointer },
  TFE_NewTensorHandle: { parameters: [pointer, pointer], result: pointer },
  TFE_DeleteTensorHandle: { parameters: [pointer], result: "void" },
  TFE_TensorHandleResolve: { parameters: [pointer, pointer], result: pointer },
  TFE_TensorHandleDataType: { parameters: [pointer], result: "i32" },
  TFE_TensorHandleNumDims: { parameters: [pointer, pointer], result: "i32" },
  TFE_TensorHandleDim: { parameters: [pointer, "i32", pointer], result: "i64" },
  TFE_NewOp: { parameters: [pointer, buffer, pointer], result: pointer },
  TFE_DeleteOp: { parameters: [pointer], result: "void" },
  TFE_OpSetDevice: { parameters: [pointer, buffer, pointer], result: "void" },
  TFE_OpAddInput: { parameters: [pointer, pointer, pointer], result: "void" },
  TFE_Execute: { parameters: [pointer, buffer, buffer, pointer], result: "void" },
  /** The same on another thread, while this one goes on. */
  TFE_ExecuteAside: {
    name: "TFE_Execute",
    parameters: [pointer, buffer, buffer, pointer],
    result: "void",
    nonblocking: true,
  },
  TFE_OpSetAttrType: { parameters: [pointer, buffer, "i32"], result: "void" },
  TFE_OpSetAttrBool: { parameters: [pointer, buffer, "u8"], result: "void" },
  TFE_OpSetAttrInt: { parameters: [pointer, buffer, "i64"], result: "void" },
  TFE_OpSetAttrFloat: { parameters: [pointer, buffer, "f32"], result: "void" },
  TFE_OpSetAttrString: { parameters: [pointer, buffer, buffer, "usize"], result: "void" },
  TFE_OpSetAttrShape: { parameters: [pointer, buffer, buffer, "i32", pointer], result: "void" },
  TFE_OpSetAttrTypeList: { parameters: [pointer, buffer, buffer, "i32"], result: "void" },
  TFE_OpSetAttrIntList: { parameters: [pointer, buffer, buffer, "i32"], result: "void" },
  TFE_OpSetAttrFloatList: { parameters: [pointer, buffer, buffer, "i32"], result: "void" },
  TFE_ContextAddFunction: { parameters: [pointer, pointer, pointer], result: "void" },
  TF_NewGraph: { parameters: [], result: pointer },
  TF_DeleteGraph: { parameters: [pointer], result: "void" },
  TF_GraphGetOpDef: { parameters: [pointer, buffer, pointer, pointer], result: "void" },
  TF_NewOperation: { parameters: [pointer, buffer, buffer], result: pointer },
  TF_FinishOperation: { parameters: [pointer, pointer], result: pointer },
  TF_OperationOpType: { parameters: [pointer], result: pointer },
  TF_OperationNumOutputs: { parameters: [pointer], result: "i32" },
  TF_OperationOutputType: { parameters: [{ struct: [pointer, "i32"] }], result: "i32" },
  TF_GraphGetTensorNumDims: { parameters: [pointer, { struct: [pointer, "i32"] }, pointer], result: "i32" },
  TF_GraphSetTensorShape: {
    parameters: [pointer, { struct: [pointer, "i32"] }, buffer, "i32", pointer],
    result: "void",
  },
  TF_GraphGetTensorShape: {
    parameters: [pointer, { struct: [pointer, "i32"] }, buffer, "i32", pointer],
    result: "void",
  },
  TF_AddInput: { parameters: [pointer, { struct: [pointer, "i32"] }], result: "void" },
  TF_AddControlInput: { parameters: [pointer, pointer], result: "void" },
  TF_AddInputList: { parameters: [pointer, buffer, "i32"], result: "void" },
  TF_SetAttrType: { parameters: [pointer, buffer, "i32"], result: "void" },
  TF_SetAttrBool: { parameters: [pointer, buffer, "u8"], result: "void" },
  TF_SetAttrInt: { parameters: [pointer, buffer, "i64"], result: "void" },
  TF_SetAttrFloat: { parameters: [pointer, buffer, "f32"], result: "void" },
  TF_SetAttrString: { parameters: [pointer, buffer, buffer, "usize"], result: "void" },
  TF_SetAttrShape: { parameters: [pointer, buffer, buffer, "i32"], result: "void" },
  TF_SetAttrTypeList: { parameters: [pointer, buffer, buffer, "i32"], result: "void" },
  TF_SetAttrIntList: { parameters: [pointer, buffer, buffer, "i32"], result: "void" },
  TF_SetAttrFloatList: { parameters: [pointer, buffer, buffer, "i32"], result: "void" },
  TF_SetAttrFuncName: { parameters: [pointer, buffer, buffer, "usize"], result: "void" },
  TF_SetAttrTensor: { parameters: [pointer, buffer, pointer, pointer], result: "void" },
  TF_GraphToFunction: {
    parameters: [
      pointer,
      buffer,
      "u8",
      "i32",
      buffer,
      "i32",
      buffer,
      "i32",
      buffer,
      pointer,
      pointer,
      pointer,
      pointer,
    ],
    result: pointer,
  },
  TF_DeleteFunction: { parameters: [pointer], result: "void" },
  /** `tsl::enable_tensor_float_32_execution`; not in the C API, and so not in every libtensorflow. */
  enableTensorFloat32: {
    name: "_ZN3tsl32enable_tensor_float_32_executionEb",
    parameters: ["bool"],
    result: "void",
    optional: true,
  },
} as const;

const systemLibrary = Deno.build.os === "darwin" ? "libSystem.dylib" : "libc.so.6";

/**
 * Keeps a library in memory to the end of the process. Deno closes what it
 * opened when a realm ends (after every test file, say), and TensorFlow's
 * threads do not survive the unmapping of their code.
 */
export function pin(path: string) {
  const now = 2, noDelete = Deno.build.os === "darwin" ? 0x80 : 0x1000;
  const { symbols } = Deno.dlopen(systemLibrary, {
    dlopen: { parameters: [buffer, "i32"], result: pointer, optional: true },
  });
  symbols.dlopen?.(cString(path), now | noDelete);
}

/**
 * Runs `load` with the process's stderr pointed at nothing: libtensorflow
 * prints a notice from a static initialiser, before any log level is read. The
 * engine's own one line says what matters.
 */
function quietly<Result>(load: () => Result): Result {
  const { symbols: { open, dup, dup2, close } } = Deno.dlopen(systemLibrary, {
    open: { parameters: [buffer, "i32"], result: "i32" },
    dup: { parameters: ["i32"], result: "i32" },
    dup2: { parameters: ["i32", "i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
  });
  const nowhere = open(cString("/dev/null"), 1);
  const stderr = dup(2);
  dup2(nowhere, 2);
  try {
    return load();
  } finally {
    dup2(stderr, 2);
    close(stderr);
    close(nowhere);
  }
}

/** libtensorflow, loaded: its functions, one status object and one eager context. */
export interface TensorFlow {
  readonly c: Deno.StaticForeignLibraryInterface<typeof functions>;
  readonly status: Deno.PointerValue;
  readonly context: Deno.PointerValue;
  readonly version: string;
  /** TensorFlow's name of the GPU that it computes on, `/device:GPU:0`, if there is one. */
  readonly gpu: string | undefined;
  /** Throws what the last call left in `status`, or in one of its own, if anything. */
  check(doing: string, own?: Deno.PointerValue): void;
}

/** A zero-terminated C string; kept, because the same few names come back at every step. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  let bytes = cStrings.get(text);
  if (!bytes) cStrings.set(text, bytes = new TextEncoder().encode(text + "\0"));
  return bytes;
}
const cStrings = new Map<string, Uint8Array<ArrayBuffer>>();

/** Loads libtensorflow and opens an eager context on it. Throws what the dynamic linker says. */
export function loadTensorFlow(library: { framework: string; cc: string }): TensorFlow {
  setDefault("TF_CPP_MIN_LOG_LEVEL", "2");
  // Memory that is kept: C gives a large tensor's back, and pages that are new again can take a third of a step.
  setDefault("TF_CPU_ALLOCATOR_USE_BFC", "true");
  setDefault("TF_CPU_BFC_MEM_LIMIT_IN_MB", String(Math.ceil(cpu().memoryBytes / 2 ** 20)));
  for (const [name, value] of Object.entries(xlaOptions)) addFlag("XLA_FLAGS", name, value);
  const c = quietly(() => {
    pin(library.framework);
    pin(library.cc);
    Deno.dlopen(library.framework, {});
    return Deno.dlopen(library.cc, functions).symbols;
  });
  const text = (at: Deno.PointerValue) => Deno.UnsafePointerView.getCString(at!);
  const status = c.TF_NewStatus();
  const check = (doing: string, own = status) => {
    if (c.TF_GetCode(own) !== 0) throw new Error(`${doing}: ${text(c.TF_Message(own))}`);
  };
  const context = c.TFE_NewContext(c.TFE_NewContextOptions(), status);
  check("Opening TensorFlow");
  const list = c.TFE_ContextListDevices(context, status);
  check("Listing devices");
  const devices = Array.from(
    { length: c.TF_DeviceListCount(list) },
    (_, i) => text(c.TF_DeviceListName(list, i, status)).replace(/^.*\/device:/, "/device:"),
  );
  const gpu = devices.find((name) => name.includes("GPU"));
  // Float32 is float32 there too: by default a GPU rounds the factors of products to 10 bits.
  if (gpu !== undefined) c.enableTensorFloat32?.(false);
  return { c, status, context, version: text(c.TF_Version()), gpu, check };
}
