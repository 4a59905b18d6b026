// Loads a SavedModel by its tag "serve" and runs signatures, as TensorFlow Serving does, without Python.
//
//   loader MODEL EXCHANGE
//
// EXCHANGE/request.txt holds one call a line: signature, then name and file of each input, separated by tabs. Files are
// serialized TensorProto. Outputs are written the same way; EXCHANGE/report.txt names them, and all signatures.

#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/public/session_options.h"

using tensorflow::Tensor;

namespace {

[[noreturn]] void Fail(const std::string& why) {
  std::cerr << why << std::endl;
  std::exit(1);
}

Tensor ReadTensor(const std::string& file) {
  std::ifstream opened(file, std::ios::binary);
  tensorflow::TensorProto proto;
  Tensor tensor;
  if (!proto.ParseFromIstream(&opened) || !tensor.FromProto(proto)) Fail(file + " is no tensor");
  return tensor;
}

void WriteTensor(const Tensor& tensor, const std::string& file) {
  tensorflow::TensorProto proto;
  if (tensor.dtype() == tensorflow::DT_STRING) {
    tensor.AsProtoField(&proto);
  } else {
    tensor.AsProtoTensorContent(&proto);
  }
  std::ofstream opened(file, std::ios::binary);
  if (!proto.SerializeToOstream(&opened)) Fail("cannot write " + file);
}

std::vector<std::string> Words(const std::string& line) {
  std::vector<std::string> words;
  std::istringstream stream(line);
  for (std::string word; std::getline(stream, word, '\t');) words.push_back(word);
  return words;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) Fail("usage: loader MODEL EXCHANGE");
  const std::string exchange = std::string(arguments[2]) + "/";
  tensorflow::SavedModelBundle bundle;
  const auto loaded = tensorflow::LoadSavedModel(tensorflow::SessionOptions(), tensorflow::RunOptions(), arguments[1],
                                                 {"serve"}, &bundle);
  if (!loaded.ok()) Fail(std::string(loaded.message()));

  std::ofstream report(exchange + "report.txt");
  const auto& signatures = bundle.GetSignatures();
  for (const auto& one : signatures) report << "signature\t" << one.first << "\n";

  std::ifstream request(exchange + "request.txt");
  int call = 0;
  for (std::string line; std::getline(request, line); ++call) {
    const auto words = Words(line);
    const auto found = signatures.find(words[0]);
    if (found == signatures.end()) Fail("no signature " + words[0]);
    std::vector<std::pair<std::string, Tensor>> inputs;
    for (size_t at = 1; at + 1 < words.size(); at += 2) {
      const auto input = found->second.inputs().find(words[at]);
      if (input == found->second.inputs().end()) Fail(words[0] + " takes no " + words[at]);
      inputs.emplace_back(input->second.name(), ReadTensor(exchange + words[at + 1]));
    }
    std::vector<std::string> names, places;
    for (const auto& output : found->second.outputs()) {
      names.push_back(output.first);
      places.push_back(output.second.name());
    }
    std::vector<Tensor> outputs;
    const auto ran = bundle.session->Run(inputs, places, {}, &outputs);
    if (!ran.ok()) Fail(words[0] + ": " + std::string(ran.message()));
    for (size_t at = 0; at < outputs.size(); ++at) {
      const std::string file = "output-" + std::to_string(call) + "-" + std::to_string(at);
      WriteTensor(outputs[at], exchange + file);
      report << "output\t" << call << "\t" << names[at] << "\t" << file << "\n";
    }
  }
  return 0;
}
